// The pages of an installation on a real cluster. Started by tests/e2e, which says where and as whom.
import { defineConfig } from "@playwright/test";
import local from "./playwright.config";

export default defineConfig(local, { testMatch: "*.cluster.ts", outputDir: "../../out/browser-cluster", timeout: 240_000 });
