// Several tabs of one browser.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";
import { SCHEMA } from "./world.mjs";

export const tabTests = {
  async "tabs share one file, and the next takes over when its owner goes"(phones) {
    const first = await phones.phone("ann", { startOffline: true });
    const second = await first.another();
    await second.open({ startOffline: true });
    await first.order("t-1", "PLACED");
    await second.order("t-2", "PLACED");
    await second.run(() => window.client.subscribe("region/fr"));
    const count = (tab) =>
      tab.query("SELECT count(*) AS n FROM \"Order\" WHERE id LIKE 't-%'").then(([row]) => row.n);
    assert.deepEqual([await count(first), await count(second)], [2, 2]);
    await second.run(() => window.follow({ table: "Order", orderBy: [{ column: "id" }] }));
    await eventually("the other tab's query is followed", () => second.run(() => window.updates.at(-1)?.rows.length === 2));
    await second.run(() => window.client.upsert("Stock", "tea", {}));
    // The owner goes while the other tab writes as fast as it can.
    const writing = second.run(async () => {
      let kept = 0;
      for (let at = 0; at < 300; at += 1) {
        await window.client.transaction().increment("Stock", "tea", "sold", 1).commit();
        kept += 1;
      }
      return kept;
    });
    await new Promise((done) => setTimeout(done, 200));
    const began = Date.now();
    await first.page.close();
    await count(second);
    console.log(`    taken over ${Date.now() - began} ms after the owner's tab was closed`);
    assert.equal(await writing, 300);
    assert.deepEqual(await second.query("SELECT sold FROM \"Stock\""), [{ sold: 300 }]);
    await second.order("t-3", "PLACED");
    await eventually("the query goes on", () => second.run(() => window.updates.at(-1)?.rows.length === 3));
    assert.equal(await second.run(() => window.updates.filter((u) => u.reset).length), 2);
    // What was written through two owners arrives.
    await second.run(() => window.client.goOnline());
    await second.settle();
    assert.equal((await second.run(() => window.client.outboxStatus())).pending, 0);
    const third = await second.another();
    await third.open();
    assert.equal(await count(third), 3);
    await second.run(() => window.client.close());
    await third.order("t-4", "PLACED");
    assert.equal(await count(third), 4);
  },

  async "an editor of a text ends with the tab that had the file, and says so"(phones) {
    const first = await phones.phone("cat", { startOffline: true });
    const second = await first.another();
    await second.open({ startOffline: true });
    await second.order("e-1", "PLACED", "ring");
    await second.run(async () => {
      window.text = await window.client.text("Order", "e-1", "note");
      await window.text.splice(4, 0, " once");
      await window.text.commit();
      await window.text.splice(9, 0, ", not twice");
    });
    await first.page.close();
    await second.fails("LF2311", () => window.text.commit());
    const texts = await second.run(async () =>
      [window.text.value, (await window.client.text("Order", "e-1", "note")).value]);
    assert.deepEqual(texts, ["ring once, not twice", "ring once"]);
  },

  async "a wait of one tab is given up without the others"(phones) {
    const first = await phones.phone("ann", { startOffline: true });
    const second = await first.another();
    await second.open({ startOffline: true });
    await first.order("w-1", "PLACED");
    const given = await second.run(() =>
      window.client.settle(3_600_000, { signal: AbortSignal.timeout(100) }).catch((error) => error.name));
    assert.equal(given, "TimeoutError");
    // Neither tab's next wait is the one that was given up.
    await first.fails("LF2106", () => window.client.settle(50));
    await second.fails("LF2106", () => window.client.settle(50));
  },

  async "a live query that the next owner cannot answer fails, and the others go on"(phones) {
    // The first tab runs a newer version of the app, whose schema has a type more.
    const first = await phones.phone("fay", {
      startOffline: true, schema: `${SCHEMA}\ntype Memo @local { id: ID! text: String }\n`,
    });
    const second = await first.another();
    await second.open({ startOffline: true });
    await second.order("f-1", "PLACED");
    await second.run(() => window.follow({ table: "Memo" }));
    await second.run(() => {
      window.loop = window.attempt(async () => {
        for await (const rows of window.client.observe({ table: "Memo" })) window.memos = rows;
      });
      window.orders = [];
      window.client.observe({ table: "Order" }, (update) => window.orders.push(update.rows.length));
    });
    await eventually("the first owner answers all three", () =>
      second.run(() => window.updates.length === 1 && window.memos !== undefined && window.orders.length === 1));
    await first.page.close();
    await eventually("its end is told", () => second.run(() => window.failures.length > 0));
    assert.deepEqual((await second.run(() => window.failures)).map((failure) => failure.code), ["LF2103"]);
    assert.equal((await second.run(() => window.loop)).code, "LF2103");
    await second.order("f-2", "PLACED");
    await eventually("the other one goes on", () => second.run(() => window.orders.at(-1) === 2));
  },

  async "a worker that breaks is told to all who wait, and another tab goes on"(phones) {
    const first = await phones.closed("gus");
    await first.run(async (options) => {
      window.Worker = class extends Worker {
        constructor(...of) {
          super(...of);
          window.worker = this;
        }
      };
      window.client = await window.landfall.open(options);
    }, first.options({ startOffline: true }));
    const second = await first.another();
    await second.open({ startOffline: true });
    await first.run(() => window.follow({ table: "Order" }));
    await first.run(() => {
      const { client } = window;
      const events = async () => {
        for await (const _ of client.events());
      };
      window.told = Promise.all([() => client.settle(3_600_000), events].map(window.attempt));
    });
    await eventually("the query is followed", () => first.run(() => window.updates.length === 1));
    await first.run(() => window.worker.dispatchEvent(new ErrorEvent("error", { message: "it broke" })));
    const told = await first.run(() => window.told);
    assert.deepEqual(told.map(({ code, message }) => [code, message]), Array(2).fill(["LF2104", "it broke"]));
    assert.deepEqual(await first.run(() => window.failures), [{ code: "LF2104", message: "it broke" }]);
    await first.fails("LF2104", () => window.client.query("SELECT 1"));
    await second.order("g-1", "PLACED");
    assert.equal((await second.query("SELECT count(*) AS n FROM \"Order\""))[0].n, 1);
  },

  async "a panic ends the worker, whatever kind of call it is in, and another tab goes on"(phones) {
    // Of this tab and of another, in a call that answers at once and in one that is a promise.
    const ways = [["ida", "own", "digest"], ["ivo", "another's", "digest"], ["ina", "own", "settle"]];
    for (const [user, whose, method] of ways) {
      const first = await phones.closed(user);
      await first.run(async (options) => {
        const module = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
        window.Worker = class extends Worker {
          constructor(url, how) {
            // A module of one function, which is the instruction that a panic ends with.
            const panics = module(`
              import { WebClient } from "${new URL("../wasm/landfall_web.js", url)}";
              const bytes = [
                0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0,
                7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11,
              ];
              const { f } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports;
              WebClient.prototype.digest = () => f();
              WebClient.prototype.settle = () => new Promise(() => queueMicrotask(() => f()));
            `);
            super(module(`import "${panics}"; import "${url}";`), how);
          }
        };
        window.client = await window.landfall.open(options);
      }, first.options({ startOffline: true }));
      const second = await first.another();
      await second.open({ startOffline: true });
      await second.order("p-1", "PLACED");
      const caller = whose === "own" ? first : second;
      await caller.fails("LF2104", (method) => window.client[method](1_000), method);
      await eventually("the page hears of it", () =>
        first.run(() => window.attempt(() => window.client.connection()).then(({ code }) => code === "LF2104")));
      await second.order("p-2", "PLACED");
      assert.equal((await second.query("SELECT count(*) AS n FROM \"Order\" WHERE id LIKE 'p-%'"))[0].n, 2);
      await second.run(() => window.client.digest());
    }
  },

  async "a wait longer than a timer of the browser takes is made of several"(phones) {
    const hal = await phones.closed("hal");
    await hal.run(async (options) => {
      window.asked = [];
      new BroadcastChannel("timers").onmessage = ({ data }) => window.asked.push(data);
      const module = (text) => URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      // Timers of the worker that take longer than a day are told.
      const telling = module(`
        const [channel, timer] = [new BroadcastChannel("timers"), self.setTimeout];
        self.setTimeout = (done, ms) => {
          if (ms > 86_400_000) channel.postMessage(ms);
          return timer(done, ms);
        };
      `);
      window.Worker = class extends Worker {
        constructor(url, how) {
          super(module(`import "${telling}"; import "${url}";`), how);
        }
      };
      window.client = await window.landfall.open({ ...options, network: { lowPowerGatherMs: 40 * 86_400_000 } });
      await window.client.setConditions({ lowPower: true });
      await window.client.upsert("Stock", "tea", {});
    }, hal.options());
    const asked = await eventually("the write waits for others to leave with", () =>
      hal.run(() => window.asked.length > 0 && window.asked));
    // A longer one is over at once.
    assert.deepEqual(asked.filter((ms) => ms > 2 ** 31 - 1), []);
  },
};
