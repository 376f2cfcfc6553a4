// What goes wrong, and how it is told.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

export const errorTests = {
  async "failures are typed and arrive where the call was made"(phones) {
    const mia = await phones.phone("mia", { startOffline: true });
    await mia.fails("LF2102", () => window.client.query("SELEC 1"));
    await mia.fails("LF2102", () => window.client.query("DELETE FROM \"Order\""));
    await mia.fails("LF2102", () => window.client.query("SELECT ?", []));
    await mia.fails("LF2001", () => window.client.upsert("Nothing", "x", {}));
    await mia.fails("LF2014", () => window.client.update("Product", "absent", { description: "?" }));
    await mia.fails("LF2012", () => window.client.transaction().upsert("Stock", "fine", {})
      .upsert("OrderLine", "l", { order: "no such order", sku: "sku", quantity: 1 }).commit());
    assert.equal(await mia.run(() => window.client.get("Stock", "fine")), null);
    await mia.run(() => window.client.upsert("Stock", "waits", {}));
    await mia.fails("LF2106", () => window.client.settle(20));
    await mia.fails("LF2109", () => window.client.drain(20));
    assert.equal((await mia.run(() => window.client.fate("no dot"))).state, "unknown");
    await mia.fails("LF2020", () => window.client.resubmit("no dot"));
    await mia.fails("LF2111", () => window.client.subscribe("catalog", { rowsMax: -1 }));
    await mia.fails("LF2103", () => window.client.observe({ table: "Nothing" }).next());
    await mia.run(() => window.follow({ table: "Nothing" }));
    await eventually("the live query fails", () => mia.run(() => window.failures[0]?.code === "LF2103"));
    // A statement that leaves a transaction open does not stop the next write.
    await mia.run(() => window.attempt(() => window.client.query("BEGIN")));
    await mia.order("after", "PLACED");
    await mia.fails("LF2101", (options) => window.landfall.open(options),
      mia.options({ name: "other", schema: "type A { id: ID! }" }));
  },

  async "a file opens for its own account only"(phones) {
    const nia = await phones.phone("nia", { startOffline: true });
    await nia.run(() => window.client.close());
    await nia.fails("LF2107", (options) => window.landfall.open(options),
      nia.options({ account: { tenant: "", subject: "ola" }, startOffline: true }));
    await nia.open({ startOffline: true });
  },

  async "close is idempotent, completes streams, and later calls say so"(phones) {
    const pat = await phones.phone("pat", { startOffline: true });
    const ended = await pat.run(async () => {
      const { client } = window;
      const rows = (async () => { for await (const _ of client.observe({ table: "Stock" })); return "rows"; })();
      const events = (async () => { for await (const _ of client.events()); return "events"; })();
      await new Promise((done) => setTimeout(done, 200));
      await client.close();
      await client.close();
      return Promise.all([rows, events]);
    });
    assert.deepEqual(ended, ["rows", "events"]);
    await pat.fails("LF2104", () => window.client.query("SELECT 1"));
    await pat.fails("LF2104", () => window.client.upsert("Stock", "x", {}));
    await pat.fails("LF2104", () => window.client.subscribe("catalog"));
    await pat.fails("LF2104", () => window.client.settle(1_000));
    await pat.fails("LF2104", () => window.client.outcomes());
  },

  async "a settle that waits can be cancelled"(phones) {
    const quy = await phones.phone("quy", { startOffline: true });
    const found = await quy.run(async () => {
      await window.client.upsert("Stock", "waits", {});
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 100);
      const settled = await window.client.settle(3_600_000, { signal: stop.signal }).catch((error) => error.name);
      const never = await window.client.settle(3_600_000, { signal: stop.signal }).catch((error) => error.name);
      return [settled, never, await window.client.outboxStatus().then((status) => status.pending)];
    });
    assert.deepEqual(found, ["AbortError", "AbortError", 1]);
  },

  async "a token that is refused is asked for again, and one that cannot be had is no fault"(phones) {
    const ray = await phones.closed("ray");
    const told = [];
    ray.page.on("console", (message) => told.push(message.text()));
    const { connection, reasons } = await ray.run(async (options) => {
      const reasons = [];
      const token = (reason) => {
        reasons.push(reason);
        if (reasons.length === 1) throw new Error("not signed in yet");
        return reasons.length === 2 ? "expired, surely" : options.token;
      };
      const client = await window.landfall.open({ ...options, token });
      await client.upsert("Stock", "with a token", {});
      await client.settle(60_000);
      return { connection: await client.connection(), reasons };
    }, ray.options());
    assert.equal(connection.state, "online");
    assert.equal(reasons[0], "connect");
    assert(reasons.includes("refused"), reasons.join());
    // Why there was none is told in the app's words.
    assert(told.some((text) => text.includes("no token: not signed in yet")), told.join("\n"));
  },

  async "closing gives up a token that never comes"(phones) {
    const sue = await phones.closed("sue");
    await sue.run(async (options) => {
      let asked;
      const whenAsked = new Promise((resolve) => (asked = resolve));
      const client = await window.landfall.open({ ...options, token: () => { asked(); return new Promise(() => {}); } });
      await whenAsked;
      await client.close();
    }, sue.options());
    await sue.open({ startOffline: true });
  },

  async "a refused write has an outcome, which can be resubmitted and dismissed"(phones) {
    const tom = await phones.phone("tom", { scopes: "region/fr" });
    const receipt = await tom.run(() =>
      window.client.upsert("Order", "o-9", { market: "de", placedAt: 0, status: "PLACED" }));
    const [outcome] = await eventually("it is refused", async () => {
      const all = await tom.run(() => window.client.outcomes());
      return all.length > 0 && all;
    });
    assert.equal(outcome.dot, receipt.dots[0]);
    assert.deepEqual([outcome.key.type, outcome.kind, outcome.code], ["Order", "rejected", "LF4007"]);
    await tom.run((dot) => window.client.goOffline().then(() => window.client.resubmit(dot)), outcome.dot);
    assert.equal((await tom.run(() => window.client.get("Order", "o-9"))).market, "de");
    for (const none of [`${"0".repeat(32)}#1`, "none"]) {
      await tom.fails("LF2020", (dot) => window.client.resubmit(dot), none);
      await tom.fails("LF2022", (dot) => window.client.cancel(dot), none);
      assert.deepEqual(await tom.run((dot) => window.client.fate(dot), none), { state: "unknown" });
      await tom.run((dot) => window.client.dismiss(dot), none);
    }
    await tom.run(() => window.client.goOnline());
    const [again] = await eventually("it is refused again", async () => {
      const all = await tom.run(() => window.client.outcomes());
      return all.length > 0 && all;
    });
    await tom.run((dot) => window.client.dismiss(dot), again.dot);
    assert.deepEqual(await tom.run(() => window.client.outcomes()), []);
  },
};
