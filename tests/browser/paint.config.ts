import { defineConfig } from "@playwright/test";
import base from "./playwright.config";

export default defineConfig({ ...base, testMatch: "paint.ts", timeout: 600_000, use: { ...base.use, trace: "off" } });
