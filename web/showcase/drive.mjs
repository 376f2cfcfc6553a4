// Drives the two phones in Chromium and takes pictures of them, at the width of a desk and of a
// phone, by day and by night:  node web/showcase/drive.mjs [FOLDER]
//
// It fails if the phones do not come to show the same, or if nobody is told of the answer that was
// overwritten.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { serve } from "./serve.mjs";

const ROOT = resolve(import.meta.dirname, "../..");
const FOLDER = resolve(process.argv[2] ?? join(ROOT, "target/showcase"));
const SOON = 30_000;
const LOOKS = [
  { name: "desktop-light", width: 1040, height: 1000, colorScheme: "light" },
  { name: "desktop-dark", width: 1040, height: 1000, colorScheme: "dark" },
  { name: "narrow-light", width: 420, height: 900, colorScheme: "light" },
  { name: "narrow-dark", width: 420, height: 900, colorScheme: "dark" },
];

const require = createRequire(join(ROOT, "target/web/package.json"));
const { chromium } = require("playwright-core");
await mkdir(FOLDER, { recursive: true });
const showcase = await serve(0);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
});
const page = await (await browser.newContext({ deviceScaleFactor: 2 })).newPage();
page.on("pageerror", (error) => console.log(`page: ${error.message}`));
page.on("console", (message) => message.type() === "error" && console.log(`page: ${message.text()}`));

const phone = (title) => page.locator(`[data-phone="${title}"]`);
const stop = (title, at) => phone(title).locator(`[data-stop="stop-${at}"]`);
const press = (within, name) => within.getByRole("button", { name, exact: true }).click();
const flip = (title) => phone(title).getByRole("switch").click();
const verdict = (state) => page.locator(`#verdict[data-state="${state}"]`).waitFor({ timeout: SOON });
const allSafe = () => page.waitForFunction(
  () => [...document.querySelectorAll(".safe")].every((mark) => mark.dataset.safe === "safe"), undefined, { timeout: SOON });

async function pictures(scene) {
  for (const { name, width, height, colorScheme } of LOOKS) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const path = join(FOLDER, `${scene}-${name}.png`);
    await page.screenshot({ path, fullPage: true });
    console.log(path);
  }
}

try {
  await page.goto(showcase.url);
  await stop("Ann", 4).waitFor({ timeout: SOON });
  await stop("Bob", 4).waitFor({ timeout: SOON });
  await press(stop("Bob", 1), "Delivered");
  await press(stop("Ann", 2), "fragile");
  await verdict("same");
  await allSafe();
  await pictures("1-connected");

  await flip("Ann");
  await phone("Ann").locator('.strip[data-state="offline"]').waitFor({ timeout: SOON });
  await press(stop("Ann", 3), "Delivered");
  await press(stop("Ann", 3), "one parcel less");
  await press(stop("Ann", 4), "ring twice");
  await press(stop("Bob", 3), "Missed");
  await press(stop("Bob", 3), "one parcel more");
  await press(stop("Bob", 3), "one parcel more");
  await press(stop("Bob", 4), "fragile");
  await verdict("apart");
  await stop("Bob", 3).locator('.safe[data-safe="safe"]').waitFor({ timeout: SOON });
  await pictures("2-cut-off");

  await flip("Ann");
  await verdict("same");
  await allSafe();
  await phone("Ann").locator(".outcome").waitFor({ timeout: SOON });
  for (const title of ["Ann", "Bob"]) {
    // The later answer stands; what was counted and what was marked is all there.
    assert.equal(await stop(title, 3).locator('[aria-pressed="true"]').first().textContent(), "Missed");
    assert.equal(await stop(title, 3).locator("output").textContent(), "5");
    assert.deepEqual(await stop(title, 4).locator('.mark[aria-pressed="true"]').allTextContents(), ["fragile", "ring twice"]);
  }
  assert.equal(await phone("Bob").locator(".outcome").count(), 0);
  await pictures("3-together");

  await press(phone("Ann").locator(".outcome"), "It was “Delivered”");
  await stop("Bob", 3).locator('[data-status="DELIVERED"][aria-pressed="true"]').waitFor({ timeout: SOON });
  await verdict("same");
  await allSafe();
  assert.equal(await phone("Ann").locator(".outcome").count(), 0);
  await page.reload();
  await stop("Ann", 4).waitFor({ timeout: SOON });
  await verdict("same");
  console.log("the phones came together, and the answer was put right");
} finally {
  await browser.close();
  await showcase.stop();
}
