// What is asked when something is wrong on somebody's device.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

export const fieldTests = {
  async "a write that was not sent is taken back with what stands on it"(phones) {
    const dee = await phones.phone("dee", { startOffline: true });
    const { dots: [order] } = await dee.order("o-20", "PLACED");
    const { dots: [line] } = await dee.run(() =>
      window.client.upsert("OrderLine", "l-20", { order: "o-20", sku: "tea", quantity: 2 }));
    const cancelled = await dee.run((dot) => window.client.cancel(dot), order);
    assert.deepEqual([cancelled.dots, cancelled.dependants], [[order], [line]]);
    assert.deepEqual(cancelled.keys.map((key) => `${key.type} ${key.id}`).sort(), ["Order o-20", "OrderLine l-20"]);
    const left = await dee.run(() => Promise.all([
      window.client.get("Order", "o-20"), window.client.get("OrderLine", "l-20"), window.client.outboxStatus()]));
    assert.deepEqual([left[0], left[1], left[2].pending], [null, null, 0]);
    assert.equal((await dee.run((dot) => window.client.fate(dot), order)).state, "unknown");
    await dee.fails("LF2022", (dot) => window.client.cancel(dot), order);
    await dee.fails("LF2022", () => window.client.cancel("no dot"));
    const { dots: [sent] } = await dee.run(() => window.client.upsert("Stock", "sent", {}));
    await dee.run(() => window.client.goOnline());
    await dee.settle();
    await dee.fails("LF2021", (dot) => window.client.cancel(dot), sent);
  },

  async "a deleted row is brought back with what fell with it"(phones) {
    const eli = await phones.phone("eli", { startOffline: true });
    await eli.run(() => window.client.subscribe("region/fr"));
    await eli.order("o-21", "PACKED", "at the door");
    await eli.run(() => window.client.upsert("OrderLine", "l-21", { order: "o-21", sku: "tea", quantity: 3 }));
    await eli.run(() => window.client.delete("Order", "o-21"));
    const rows = () => eli.run(() =>
      Promise.all([window.client.get("Order", "o-21"), window.client.get("OrderLine", "l-21")]));
    assert.deepEqual(await rows(), [null, null]);
    const restore = () => eli.run(() => window.client.restore("Order", "region/fr", "o-21"));
    assert.deepEqual((await restore()).keys.map((key) => key.id).sort(), ["l-21", "o-21"]);
    const [order, line] = await rows();
    assert.deepEqual([order.status, order.note, line.quantity], ["PACKED", "at the door", 3]);
    assert.deepEqual((await restore()).dots, []);
    await eli.fails("LF2024", () => window.client.restore("Order", "region/fr", "never"));
    await eli.run(() => window.client.goOnline());
    await eli.settle();
    assert.notEqual((await rows())[0], null, "regions have it, too");
    assert.deepEqual(await eli.run(() => window.client.outcomes()), []);
  },

  async "why a row shows, or does not, is told"(phones) {
    const fin = await phones.phone("fin", { startOffline: true });
    const explain = (id, home) => fin.run(([id, home]) => window.client.explain("Order", id, home), [id, home]);
    assert.deepEqual((await explain("o-22")).answer, { is: "not_subscribed" });
    await fin.run(() => window.client.subscribe("region/fr"));
    const { dots: [dot] } = await fin.order("o-22", "PLACED");
    const pending = await explain("o-22");
    assert.deepEqual([pending.answer, pending.key.home], [{ is: "pending", ownWrites: 1 }, "region/fr"]);
    const [write] = pending.writes;
    assert.deepEqual([write.dot, write.what, write.fate], [dot, "create", { state: "pending", sent: false }]);
    assert.deepEqual(write.waits, [{ on: "session" }]);
    assert(pending.text.includes("waits for a connection"), pending.text);
    const [scope] = pending.scopes;
    assert.deepEqual([scope.scope, scope.why, scope.subscription.loading], ["region/fr", "home", true]);

    await fin.run(() => window.client.goOnline());
    await fin.settle();
    const present = await eventually("a region confirms it", async () => {
      const told = await explain("o-22", "region/fr");
      return told.answer.is === "present" && told.answer.ownWrites === 0 && told;
    });
    await fin.run(() => window.client.goOffline());
    const status = present.fields.find((written) => written.field === "status");
    assert.deepEqual([status.dot, status.own, status.confirmed], [dot, true, true]);
    const absent = await explain("o-23", "region/fr");
    assert(absent.answer.is === "not_there" && absent.answer.asOfMs > 0, JSON.stringify(absent.answer));
    const { dots: [gone] } = await fin.run(() => window.client.delete("Order", "o-22"));
    const deleted = await explain("o-22", "region/fr");
    assert.deepEqual([deleted.answer, deleted.canRestore], [{ is: "deleted", by: gone }, true]);
    await fin.fails("LF2001", () => window.client.explain("Nothing", "x"));
  },

  async "a bundle for support has none of the user's data"(phones) {
    const gil = await phones.phone("gil-with-a-name", { startOffline: true });
    await gil.run(() => window.client.upsert("Product", "p-of-theirs", { description: "what they wrote" }));
    const bundle = await gil.run(() => window.client.supportBundle());
    assert.equal(JSON.parse(bundle).landfall_support, 1);
    assert(bundle.includes('"Product"'));
    for (const secret of ["gil-with-a-name", "p-of-theirs", "what they wrote"]) {
      assert(!bundle.includes(secret), `${secret} in ${bundle}`);
    }
  },

  async "writes of a damaged file are taken into another one, each once"(phones) {
    const hob = await phones.phone("hob", { startOffline: true });
    await hob.run(() => window.client.subscribe("catalog"));
    const sold = await hob.run(async () => {
      const dots = [];
      for (let n = 1; n <= 3; n += 1) {
        const written = window.client.transaction().upsert("Stock", `rescued-${n}`, {});
        dots.push(...(await written.increment("Stock", `rescued-${n}`, "sold", n).commit()).dots);
      }
      return dots;
    });
    await hob.fails("LF2110", () => window.landfall.rescue("shop"));
    await hob.run(() => window.client.close());
    // The head of the database, behind the one that its place in the browser's files has.
    const damaged = await hob.run(async () => {
      const magic = new TextEncoder().encode("SQLite format 3\0");
      let damaged = 0;
      const walk = async (directory) => {
        for await (const entry of directory.values()) {
          if (entry.kind === "directory") {
            await walk(entry);
            continue;
          }
          const bytes = new Uint8Array(await (await entry.getFile()).arrayBuffer());
          const at = 4096;
          if (magic.every((byte, n) => bytes[at + n] === byte)) {
            const writing = await entry.createWritable({ keepExistingData: true });
            await writing.write({ type: "write", position: at, data: new Uint8Array(100).fill(0x55) });
            await writing.close();
            damaged += 1;
          }
        }
      };
      await walk(await navigator.storage.getDirectory());
      return damaged;
    });
    assert.equal(damaged, 1);
    await hob.fails("LF2202", (options) => window.landfall.open(options), hob.options());
    const found = await hob.run(async () => {
      window.rescued = await window.landfall.rescue("shop");
      const { report, account, document } = window.rescued;
      return { report, account, bytes: document.length };
    });
    assert.deepEqual([found.report.unsent, found.report.lost, found.report.whole], [3, [], false]);
    assert.equal(found.report.headerDestroyed, true);
    assert.deepEqual(found.account, { tenant: "", subject: "hob" });
    await hob.fails("LF2201", () => window.landfall.rescue("nobody"));

    await hob.open({ name: "ivy", account: { tenant: "", subject: "ivy" }, startOffline: true });
    await hob.fails("LF2107", () => window.client.takeIn(window.rescued.document));
    await hob.fails("LF2113", () => window.client.takeIn(window.rescued.document.slice(0, 40)));
    await hob.run(() => window.client.close());
    await hob.open({ name: "shop-again", startOffline: true });
    const [first, second] = await hob.run(async () =>
      [await window.client.takeIn(window.rescued.document), await window.client.takeIn(window.rescued.document)]);
    assert.deepEqual([first.waiting.sort(), second.known], [sold.sort(), 3]);
    await hob.run(() => window.client.subscribe("catalog").then(() => window.client.goOnline()));
    await hob.settle();
    const rows = await hob.query("SELECT sold FROM Stock WHERE id LIKE 'rescued-%' ORDER BY id");
    assert.deepEqual(rows.map((row) => row.sold), [1, 2, 3]);
  },
};
