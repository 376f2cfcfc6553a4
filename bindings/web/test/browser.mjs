// The client in a real browser, against real regions.
//
//   node bindings/web/test/browser.mjs [part of a test's name]

import assert from "node:assert/strict";
import { SCHEMA, servePackage, startBrowser, startWorld } from "./world.mjs";

/** How long a test waits for what must happen, in milliseconds. */
const SOON = 20_000;

const world = await startWorld();
const files = await servePackage();
const browser = await startBrowser();

/** A phone: a browser profile of its own. */
async function phone() {
  const context = await browser.newContext();
  return { context, page: () => tab(context), close: () => context.close() };
}

async function tab(context) {
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && console.log(`    page: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`    page: ${error.message}`));
  await page.goto(files.url);
  await page.waitForFunction(() => window.landfall !== undefined);
  return page;
}

/** Open the shop in a page. */
async function open(page, more = {}) {
  const options = {
    name: "shop", schema: SCHEMA, account: { tenant: "", subject: "dev" },
    regions: world.regions, token: world.token, ...more,
  };
  await page.evaluate(async (options) => {
    window.client = await window.landfall.open(options);
  }, options);
}

const query = (page, sql, params = []) =>
  page.evaluate(([sql, params]) => window.client.query(sql, params), [sql, params]);

const order = (page, id, status, note = null) =>
  page.evaluate(([id, status, note]) => {
    const fields = { market: "fr", placedAt: 1_700_000_000_000_000, status };
    const transaction = window.client.transaction().upsert("Order", id, fields);
    return note === null ? transaction.commit() : transaction.splice("Order", id, "note", 0, 0, note).commit();
  }, [id, status, note]);

async function eventually(what, check) {
  const end = Date.now() + SOON;
  for (;;) {
    const found = await check();
    if (found) {
      return found;
    }
    assert(Date.now() < end, `in time: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const tests = {
  async "what is written offline is there after a reload, and the first query is quick"() {
    const ann = await phone();
    const page = await ann.page();
    await page.goto(files.url);
    await page.waitForFunction(() => window.landfall !== undefined);
    const took = await page.evaluate(async (options) => {
      const began = performance.now();
      window.client = await window.landfall.open(options);
      const opened = performance.now();
      await window.client.query("SELECT count(*) AS n FROM \"Order\"");
      return { open: opened - began, first: performance.now() - began };
    }, { name: "shop", schema: SCHEMA, account: { tenant: "", subject: "dev" },
         regions: world.regions, token: world.token, startOffline: true });
    console.log(`    opened in ${took.open.toFixed(0)} ms, first query after ${took.first.toFixed(0)} ms`);
    const writes = await page.evaluate(async () => {
      const began = performance.now();
      for (let at = 0; at < 50; at += 1) {
        await window.client.upsert("Product", `p-${at}`, { description: "tea" });
      }
      return (performance.now() - began) / 50;
    });
    console.log(`    a write takes ${writes.toFixed(1)} ms`);
    const receipt = await order(page, "o-1", "PLACED", "by hand");
    assert.equal(receipt.dots.length, 1);
    assert.deepEqual(receipt.keys, [{ type: "Order", id: "o-1", home: "region/fr" }]);
    await page.reload();
    await page.waitForFunction(() => window.landfall !== undefined);
    await open(page, { startOffline: true });
    const rows = await query(page, "SELECT id, status, note, placedAt FROM \"Order\"");
    assert.deepEqual(rows, [{ id: "o-1", status: "PLACED", note: "by hand", placedAt: 1_700_000_000_000_000 }]);
    const fate = await page.evaluate((dot) => window.client.fate(dot), receipt.dots[0]);
    assert.deepEqual(fate, { state: "pending", sent: false });
    await ann.close();
  },

  async "two phones exchange orders, one of them cut off for a while"() {
    const [ann, bob] = [await phone(), await phone()];
    const [a, b] = [await ann.page(), await bob.page()];
    await open(a);
    await open(b, { regions: world.regions.toReversed() });
    for (const page of [a, b]) {
      await page.evaluate(() => window.client.subscribe("region/fr"));
      await page.evaluate((soon) => window.client.settle(soon), SOON);
    }
    await order(a, "x-1", "PLACED");
    await eventually("bob has ann's order", async () => (await query(b, "SELECT 1 FROM \"Order\" WHERE id = 'x-1'")).length);
    await b.evaluate(() => window.client.goOffline());
    await eventually("bob is offline", async () => (await b.evaluate(() => window.client.connection())).state === "offline");
    await order(b, "x-2", "PACKED", "from the cellar");
    await a.evaluate(() => window.client.update("Order", "x-1", { status: "SENT" }));
    await a.evaluate((soon) => window.client.settle(soon), SOON);
    assert.deepEqual(await query(b, "SELECT status FROM \"Order\" WHERE id = 'x-1'"), [{ status: "PLACED" }]);
    assert.deepEqual(await query(a, "SELECT id FROM \"Order\" WHERE id = 'x-2'"), []);
    await b.evaluate(() => window.client.goOnline());
    await eventually("ann has bob's order", async () => (await query(a, "SELECT note FROM \"Order\" WHERE id = 'x-2'"))[0]?.note === "from the cellar");
    await eventually("bob has ann's change", async () => (await query(b, "SELECT status FROM \"Order\" WHERE id = 'x-1'"))[0]?.status === "SENT");
    for (const page of [a, b]) {
      await page.evaluate((soon) => window.client.settle(soon), SOON);
    }
    const digest = (page) => page.evaluate(() => window.client.digest());
    await eventually("both hold the same", async () => (await digest(a)) === (await digest(b)));
    assert.equal((await a.evaluate(() => window.client.progress("region/fr"))).coverage, "complete");
    await Promise.all([ann.close(), bob.close()]);
  },

  async "a live query is told in the fewest changes"() {
    const ann = await phone();
    const page = await ann.page();
    await open(page, { startOffline: true, regions: [] });
    await page.evaluate(() => window.follow({ table: "Order", orderBy: [{ column: "id" }], limit: 3 }));
    await order(page, "b", "PLACED");
    await order(page, "d", "PLACED");
    await order(page, "e", "PLACED");
    const updates = (from) => page.evaluate((from) => window.updates.slice(from), from);
    const ids = (update) => update.rows.map((row) => row.id);
    await eventually("three rows", async () => {
      const last = (await updates(0)).at(-1);
      return last !== undefined && ids(last).join() === "b,d,e";
    });
    const seen = (await updates(0)).length;
    await order(page, "c", "PACKED");
    const [entered] = await eventually("c", async () => {
      const more = await updates(seen);
      return more.length > 0 && more;
    });
    assert.deepEqual(ids(entered), ["b", "c", "d"]);
    assert.equal(entered.reset, false);
    assert.equal(entered.incremental, true);
    assert.deepEqual(entered.changes.map(({ kind, old, new: at }) => [kind, old, at]), [["remove", 2, undefined], ["insert", undefined, 1]]);
    await page.evaluate(() => window.client.update("Order", "b", { status: "SENT" }));
    const [, changed] = await eventually("b", async () => {
      const more = await updates(seen);
      return more.length > 1 && more;
    });
    const [change] = changed.changes;
    assert.equal(change.kind, "update");
    assert(change.columns.includes("status") && !change.columns.includes("note"));
    assert.equal(changed.rows[0].status, "SENT");
    await page.evaluate(() => window.watch.stop());
    await ann.close();
  },

  async "errors have their codes"() {
    const ann = await phone();
    const page = await ann.page();
    await open(page, { startOffline: true });
    const check = async (work, code) => {
      const { code: found, typed, message } = await page.evaluate((work) => window.attempt(() => eval(work)), work);
      assert.equal(found, code, `${work}: ${message}`);
      assert(typed, work);
    };
    await check("client.query('SELEC 1')", "LF2102");
    await check("client.query('DELETE FROM \"Order\"')", "LF2102");
    await check("client.query('SELECT ?', [])", "LF2102");
    await check("client.upsert('Nothing', 'x', {})", "LF2001");
    await check("client.settle(20)", "LF2106");
    await check("client.fate('no dot')", "LF2111");
    await page.evaluate(() => window.follow({ table: "Nothing" }));
    await eventually("the live query fails", async () => (await page.evaluate(() => window.failures[0]?.code)) === "LF2103");
    // A statement that leaves a transaction open does not stop the next write.
    await page.evaluate(() => window.attempt(() => window.client.query("BEGIN")));
    await order(page, "after", "PLACED");
    await page.evaluate(() => window.client.close());
    await check("client.query('SELECT 1')", "LF2104");
    const other = await page.evaluate((options) => window.attempt(() => window.landfall.open(options)), {
      name: "shop", schema: SCHEMA, account: { tenant: "", subject: "eve" }, regions: [], token: "" });
    assert.equal(other.code, "LF2107");
    const faulty = await page.evaluate((options) => window.attempt(() => window.landfall.open(options)), {
      name: "other", schema: "type A { id: ID! }", account: { tenant: "", subject: "dev" }, regions: [], token: "" });
    assert.equal(faulty.code, "LF2101");
    await ann.close();
  },

  async "tabs share one file, and the next takes over when its owner goes"() {
    const ann = await phone();
    const first = await ann.page();
    await open(first, { startOffline: true });
    const second = await ann.page();
    await open(second, { startOffline: true });
    await order(first, "t-1", "PLACED");
    await order(second, "t-2", "PLACED");
    await second.evaluate(() => window.client.subscribe("region/fr"));
    const count = (page) =>
      query(page, "SELECT count(*) AS n FROM \"Order\" WHERE id LIKE 't-%'").then(([row]) => row.n);
    assert.deepEqual([await count(first), await count(second)], [2, 2]);
    await second.evaluate(() => window.follow({ table: "Order", orderBy: [{ column: "id" }] }));
    await eventually("the other tab's query is followed", () => second.evaluate(() => window.updates.at(-1)?.rows.length === 2));
    await second.evaluate(() => window.client.upsert("Stock", "tea", {}));
    // The owner goes while the other tab writes as fast as it can.
    const writing = second.evaluate(async () => {
      let kept = 0;
      for (let at = 0; at < 300; at += 1) {
        await window.client.transaction().increment("Stock", "tea", "sold", 1).commit();
        kept += 1;
      }
      return kept;
    });
    await new Promise((done) => setTimeout(done, 200));
    const began = Date.now();
    await first.close();
    await count(second);
    console.log(`    taken over ${Date.now() - began} ms after the owner's tab was closed`);
    assert.equal(await writing, 300);
    assert.deepEqual(await query(second, "SELECT sold FROM \"Stock\""), [{ sold: 300 }]);
    await order(second, "t-3", "PLACED");
    await eventually("the query goes on", () => second.evaluate(() => window.updates.at(-1)?.rows.length === 3));
    assert(await second.evaluate(() => window.updates.filter((u) => u.reset).length === 2));
    // What was written through two owners arrives.
    await second.evaluate(() => window.client.goOnline());
    await second.evaluate((soon) => window.client.settle(soon), SOON);
    assert.equal((await second.evaluate(() => window.client.outboxStatus())).pending, 0);
    const third = await ann.page();
    await open(third);
    assert.equal(await count(third), 3);
    await second.evaluate(() => window.client.close());
    await order(third, "t-4", "PLACED");
    assert.equal(await count(third), 4);
    await ann.close();
  },
};

let failed = 0;
const wanted = Object.entries(tests).filter(([name]) => name.includes(process.argv[2] ?? ""));
for (const [name, test] of wanted) {
  try {
    const began = Date.now();
    await test();
    console.log(`ok   ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
await browser.close();
files.stop();
await world.stop();
console.log(failed === 0 ? `all ${wanted.length} passed` : `${failed} of ${wanted.length} failed`);
process.exit(failed === 0 ? 0 : 1);
