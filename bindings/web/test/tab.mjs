// Several tabs of one browser.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

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
};
