import { defineConfig } from "vitest/config";

// The base is relative: index.html carries a <base> that the gateway sets for each page's depth, so that the bundle works
// behind any path prefix without being told of it.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target: "es2022",
    outDir: "dist",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  server: {
    proxy: { "/api": { target: process.env.DIFFRUN_GATEWAY ?? "http://127.0.0.1:8090", changeOrigin: false } },
  },
  test: {
    environment: "node", // a test of a component names happy-dom itself
    include: ["src/**/*.test.ts", "src/**/*.test.tsx"],
  },
});
