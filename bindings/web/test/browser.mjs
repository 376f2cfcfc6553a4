// The client in a real browser, against real regions.
//
//   node bindings/web/test/browser.mjs [part of a test's name]
//
// The tests have the names that they have in bindings/kotlin/test where both languages can do the
// same; docs/sdks.md has the table.

import { startBrowser, startWorld, servePackage } from "./world.mjs";
import { Phones } from "./phones.mjs";
import { shopTests } from "./shop.mjs";
import { liveTests } from "./live.mjs";
import { errorTests } from "./error.mjs";
import { partTests } from "./part.mjs";
import { fieldTests } from "./field.mjs";
import { networkTests } from "./network.mjs";
import { deskTests } from "./desk.mjs";
import { tabTests } from "./tab.mjs";

const world = await startWorld();
const files = await servePackage();
const browser = await startBrowser();

let failed = 0;
const tests = Object.entries({
  ...shopTests, ...liveTests, ...errorTests, ...partTests, ...fieldTests, ...networkTests, ...deskTests, ...tabTests,
});
const wanted = tests.filter(([name]) => name.includes(process.argv[2] ?? ""));
for (const [name, test] of wanted) {
  const phones = new Phones(world, files, browser);
  const began = Date.now();
  try {
    await test(phones);
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
  await phones.close();
}
await browser.close();
files.stop();
await world.stop();
console.log(failed === 0 ? `all ${wanted.length} passed` : `${failed} of ${wanted.length} failed`);
process.exit(failed === 0 ? 0 : 1);
