// Live queries: rows kept up by changes, as callbacks and as async iterators.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

export const liveTests = {
  async "a window tells the rows and the fewest changes"(phones) {
    const hal = await phones.phone("hal", { startOffline: true, regions: [] });
    await hal.run(() => window.follow({ table: "Order", orderBy: [{ column: "id" }], limit: 3 }));
    for (const id of ["b", "d", "e"]) {
      await hal.order(id, "PLACED");
    }
    const updates = (from) => hal.run((from) => window.updates.slice(from), from);
    const ids = (update) => update.rows.map((row) => row.id);
    await eventually("three rows", async () => {
      const last = (await updates(0)).at(-1);
      return last !== undefined && ids(last).join() === "b,d,e";
    });
    const seen = (await updates(0)).length;
    await hal.order("c", "PACKED");
    const [entered] = await eventually("c", async () => {
      const more = await updates(seen);
      return more.length > 0 && more;
    });
    assert.deepEqual(ids(entered), ["b", "c", "d"]);
    assert.equal(entered.reset, false);
    assert.equal(entered.incremental, true);
    assert.deepEqual(entered.changes.map(({ kind, old, new: at }) => [kind, old, at]), [["remove", 2, undefined], ["insert", undefined, 1]]);
    await hal.run(() => window.client.update("Order", "b", { status: "SENT" }));
    const [, changed] = await eventually("b", async () => {
      const more = await updates(seen);
      return more.length > 1 && more;
    });
    const [change] = changed.changes;
    assert.equal(change.kind, "update");
    assert(change.columns.includes("status") && !change.columns.includes("note"));
    assert.equal(changed.rows[0].status, "SENT");
    await hal.run(() => window.watch.stop());
  },

  async "rows kept up by changes are the rows of the table, whatever happens"(phones) {
    const ida = await phones.phone("ida", { startOffline: true });
    const [seen, expected] = await ida.run(async () => {
      const { client } = window;
      let state = 7;
      const random = (below) => (state = (state * 48_271) % 2_147_483_647) % below;
      const anId = () => `p-${random(40)}`;
      let seen = [];
      const watch = client.observe({ table: "Product", orderBy: [{ column: "description" }], limit: 20 }, (u) => (seen = u.rows));
      for (let round = 0; round < 60; round += 1) {
        const transaction = client.transaction();
        for (let n = 0; n < 5; n += 1) {
          transaction.upsert("Product", anId(), { description: `d${random(1000)}` });
        }
        await transaction.commit();
        const gone = anId();
        if ((await client.get("Product", gone)) !== null) {
          await client.delete("Product", gone);
        }
      }
      const sql = "SELECT * FROM Product ORDER BY description, id LIMIT 20";
      const expected = JSON.stringify(await client.query(sql));
      for (let tries = 0; JSON.stringify(seen) !== expected && tries < 1_000; tries += 1) {
        await new Promise((done) => setTimeout(done, 10));
      }
      watch.stop();
      return [JSON.stringify(seen), expected];
    });
    assert.equal(seen, expected);
  },

  async "a reader that leaves stops its live query"(phones) {
    const jon = await phones.phone("jon", { startOffline: true });
    const left = await jon.run(async () => {
      const { client } = window;
      const query = { table: "Product" };
      // By leaving the loop.
      for await (const rows of client.observe(query)) {
        if (rows.length === 0) break;
      }
      // By a signal, while it waits.
      const stop = new AbortController();
      const seen = [];
      const reading = (async () => {
        for await (const { rows } of client.observeChanges(query, { signal: stop.signal })) {
          seen.push(rows.length);
          stop.abort();
        }
      })().catch((error) => error.name);
      const told = await reading;
      // And by a signal that was aborted before.
      const never = await client.observe(query, { signal: stop.signal }).next().catch((error) => error.name);
      await client.upsert("Product", "p-1", {});
      return { told, never, seen };
    });
    assert.deepEqual(left, { told: "AbortError", never: "AbortError", seen: [0] });
  },

  async "a slow reader sees the newest rows, not each one"(phones) {
    const kim = await phones.phone("kim", { startOffline: true });
    const seen = await kim.run(async () => {
      const { client } = window;
      const seen = [];
      const reading = (async () => {
        for await (const rows of client.observe({ table: "Product" })) {
          seen.push(rows.length);
          if (rows.length === 100) return;
          await new Promise((done) => setTimeout(done, 100));
        }
      })();
      for (let n = 0; n < 100; n += 1) {
        await client.upsert("Product", `p-${n}`, {});
      }
      await reading;
      return seen;
    });
    assert.equal(seen.at(-1), 100);
    assert(seen.length < 90, `${seen.length} lists`);
  },

  async "listeners may call the client, and hurt nobody when they throw"(phones) {
    const lea = await phones.phone("lea", { startOffline: true });
    const told = await lea.run(async () => {
      const { client } = window;
      const told = [];
      const failures = [];
      window.addEventListener("error", (event) => {
        failures.push(event.error.message);
        event.preventDefault();
      });
      const watch = client.observe({ table: "Product" }, ({ rows }) => {
        told.push(client.query("SELECT count(*) AS n FROM Product").then(([row]) => [rows.length, row.n]));
        throw new Error("a listener that throws hurts nobody");
      });
      for (let n = 1; n <= 2; n += 1) {
        while (told.length < n) await new Promise((done) => setTimeout(done, 5));
        await Promise.all(told);
        await client.upsert("Product", `p-${n}`, {});
      }
      while (told.length < 3) await new Promise((done) => setTimeout(done, 5));
      watch.stop();
      watch.stop();
      return { told: await Promise.all(told), failures };
    });
    assert.deepEqual(told.told, [[0, 0], [1, 1], [2, 2]]);
    assert.equal(told.failures.length, 3);
  },
};
