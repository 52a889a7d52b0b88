import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { chromium as playwright } from "playwright-core";

/** In one process, closing a window ends the browser; the others turn off what these tests rely on. */
const unwanted = new Set([
  "--single-process",
  "--no-zygote",
  "--disable-web-security",
  "--allow-running-insecure-content",
  "--disable-site-isolation-trials",
]);

/**
 * Unpacks the Chromium that comes with npm into the folder for temporary files, unless it lies there. Not safe from
 * two processes at once: `scripts/test.ts` does it before the tests. It brings its own libraries only where it believes
 * to be on Lambda, and its settings for fonts know no other folder than /tmp.
 */
export async function unpackChrome() {
  process.env["AWS_EXECUTION_ENV"] ??= "AWS_Lambda_nodejs22.x";
  const { default: chromium } = await import("@sparticuz/chromium");
  const executablePath = await chromium.executablePath();
  const settings = join(tmpdir(), "fonts/own.conf");
  await Bun.write(
    settings,
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>${tmpdir()}/fonts</dir><cachedir>${tmpdir()}/fonts-cache</cachedir></fontconfig>`,
  );
  process.env["FONTCONFIG_FILE"] = settings;
  return { executablePath, args: chromium.args };
}

export async function launchChrome(): Promise<Browser> {
  const { executablePath, args } = await unpackChrome();
  return await playwright.launch({
    executablePath,
    headless: true,
    args: [
      ...args.filter((arg) => !unwanted.has(arg)),
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A person's browser window, with what it said and where it went. */
export type Window = AsyncDisposable & {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors on the console and in scripts, policy violations included. */
  readonly complaints: string[];
  /** Hosts that anything was asked of. */
  readonly hosts: Set<string>;
};

export async function openWindow(
  browser: Browser,
  locale: string,
  options: BrowserContextOptions = {},
): Promise<Window> {
  const viewport = { width: 1000, height: 900 };
  const context = await browser.newContext({ locale, viewport, ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const complaints: string[] = [];
  const hosts = new Set<string>();
  page.on("console", (message) => {
    // A page that is itself the words of a refusal is no fault of the page.
    const isRefusal =
      message.text().includes("status of 4") && message.location().url === page.url();
    if (message.type() === "error" && !isRefusal) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== "data:") hosts.add(hostname);
  });
  return { page, context, complaints, hosts, [Symbol.asyncDispose]: () => context.close() };
}
