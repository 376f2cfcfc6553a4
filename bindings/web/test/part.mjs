// Parts of scopes, slots in the background, several accounts; and what one transaction undoes.

import assert from "node:assert/strict";
import { eventually } from "./phones.mjs";

export const partTests = {
  async "what a transaction creates and deletes leaves nothing"(phones) {
    const uma = await phones.phone("uma");
    await uma.run(() => window.client.subscribe("catalog"));
    const receipt = await uma.run(() => window.client.transaction()
      .upsert("Stock", "brief", {}).increment("Stock", "brief", "sold", 3).delete("Stock", "brief").commit());
    assert.equal(await uma.run(() => window.client.get("Stock", "brief")), null);
    await uma.settle();
    for (const dot of receipt.dots) {
      assert.equal((await uma.run((dot) => window.client.fate(dot), dot)).state, "accepted");
    }
    assert.deepEqual(await uma.run(() => window.client.outcomes()), []);
    await uma.run(() => window.client.transaction()
      .upsert("Stock", "brief", {}).increment("Stock", "brief", "sold", 1).commit());
    assert.equal((await uma.run(() => window.client.get("Stock", "brief"))).sold, 1);
  },

  async "a value object read from its column can be written again"(phones) {
    const val = await phones.closed("val");
    const schema = `
      type Thing @entity(strategy: LAST_WRITE_WINS, scope: "all") { id: ID! offer: Offer }
      type Offer @value { price: Decimal! @decimal(precision: 12, scale: 3) seal: Bytes }`;
    const [first, second] = await val.run(async (options) => {
      const client = await window.landfall.open(options);
      await client.upsert("Thing", "t-1", { offer: { price: "12.5", seal: new Uint8Array([0, 255, 7]) } });
      const { offer } = await client.get("Thing", "t-1");
      await client.upsert("Thing", "t-2", { offer: JSON.parse(offer) });
      return [offer, (await client.get("Thing", "t-2")).offer];
    }, val.options({ name: "things", schema, startOffline: true }));
    assert.equal(first, '{"price":"12.500","seal":"AP8H"}');
    assert.equal(second, first);
  },

  async "accounts sign out, return, and take over what an anonymous one did"(phones) {
    const wes = await phones.closed("wes");
    const { steps, before, after } = await wes.run(async ({ schema, regions, token, account }) => {
      const accounts = new window.landfall.Accounts({ schema, regions });
      const steps = [];
      const code = (promise) => promise.then(() => "done", (error) => error.code);
      const nobody = accounts.anonymous();
      const early = await accounts.signIn(nobody, "");
      await early.goOffline();
      await early.transaction().upsert("Stock", "mine", {}).increment("Stock", "mine", "sold", 2).commit();
      steps.push(await accounts.list());
      steps.push(await code(accounts.claim(nobody, account)));
      steps.push(await accounts.signOut(early, "keep"));
      const before = await accounts.list();

      steps.push(await accounts.claim(nobody, account));
      const after = await accounts.list();
      steps.push(await code(accounts.claim(nobody, account)));
      const shop = await accounts.signIn(account, token);
      steps.push(await shop.account(), (await shop.get("Stock", "mine")).sold);
      await shop.settle(60_000);
      steps.push(await accounts.signOut(shop, { waitMs: 60_000 }), (await accounts.list()).length);

      const again = await accounts.signIn(account, token);
      await again.goOffline();
      await again.upsert("Stock", "unsent", {});
      steps.push(await code(accounts.signOut(again, { waitMs: 20 })), (await again.get("Stock", "unsent")) !== null);
      steps.push(await accounts.signOut(again, "discard"), (await accounts.list()).length);
      const other = await accounts.signIn({ tenant: "", subject: "xia" }, "");
      steps.push(await code(accounts.wipe({ tenant: "", subject: "xia" })));
      await accounts.signOut(other, "keep");
      await accounts.wipe({ tenant: "", subject: "xia" });
      steps.push((await accounts.list()).length);
      return { steps: [nobody, ...steps], before, after };
    }, wes.options());
    const [nobody, open, ...rest] = steps;
    const account = { tenant: "", subject: "wes" };
    assert.deepEqual(open, [{ account: nobody, unsent: 1 }], "an open account is listed, too");
    assert.deepEqual(before, [{ account: nobody, unsent: 1 }]);
    assert.deepEqual(after, [{ account, unsent: 1 }]);
    assert.deepEqual(rest, ["LF2110", 1, 1, "LF2110", account, 2, 0, 0, "LF2109", true, 1, 0, "LF2110", 0]);
  },

  async "claimed writes are made again in an account that has a file"(phones) {
    const abi = await phones.closed("abi");
    const sold = await abi.run(async ({ schema, regions, token, account }) => {
      const accounts = new window.landfall.Accounts({ schema, regions, startOffline: true });
      const write = async (who, by) => {
        const client = await accounts.signIn(who, token);
        await client.transaction().upsert("Stock", "tea", {}).increment("Stock", "tea", "sold", by).commit();
        await accounts.signOut(client, "keep");
      };
      const nobody = accounts.anonymous();
      await write(account, 3);
      await write(nobody, 4);
      await accounts.claim(nobody, account);
      const client = await accounts.signIn(account, token);
      const { sold } = await client.get("Stock", "tea");
      await client.close();
      return [sold, (await accounts.list()).length];
    }, abi.options());
    assert.deepEqual(sold, [7, 1]);
  },

  async "a slot in the background syncs, and ends when it is cancelled"(phones) {
    const yan = await phones.phone("yan", { startOffline: true });
    await yan.run(() => window.client.upsert("Stock", "in a slot", {}));
    const report = await yan.run(() => window.client.syncOnce({ deadlineMs: 60_000 }));
    assert.deepEqual([report.done, report.unsent], [true, 0]);
    assert(report.bytesUp > 0 && report.bytesDown > 0, JSON.stringify(report));
    await eventually("it is offline again", async () => (await yan.run(() => window.client.connection())).state === "offline");
    const zoe = await phones.phone("zoe", { regions: [] });
    const given = await zoe.run(async () => {
      await window.client.upsert("Stock", "waits", {});
      const signal = AbortSignal.timeout(100);
      return window.client.syncOnce({ deadlineMs: 3_600_000 }, { signal }).catch((error) => error.name);
    });
    assert.equal(given, "TimeoutError");
  },

  async "what may be subscribed is told, and a subscription can hold a part"(phones) {
    const abe = await phones.phone("abe");
    await abe.run(() => {
      const transaction = window.client.transaction();
      for (let n = 1; n <= 20; n += 1) {
        transaction.upsert("Product", `part-${n}`, { description: `d${n}` });
      }
      return transaction.commit();
    });
    await abe.settle();
    const bea = await phones.phone("bea", { scopes: "catalog", startOffline: true });
    assert.equal(await bea.run(() => window.client.granted()), null);
    await bea.run(() => window.client.subscribe("catalog", { rowsMax: 5, priority: 3 }).then(() => window.client.goOnline()));
    await bea.settle();
    assert.deepEqual((await bea.run(() => window.client.granted())).scopes, ["catalog"]);
    const part = await bea.run(() => window.client.progress("catalog"));
    assert.deepEqual([part.coverage, part.missing.forRoom], ["partial", true]);
    await bea.run(() => window.client.subscribe("catalog"));
    await bea.settle();
    const all = await bea.run(() => window.client.progress("catalog"));
    assert.equal(all.coverage, "complete");
    assert(all.asOfMs > 0);
    await bea.run(async () => {
      await window.client.pin("Product", "catalog", "part-1");
      await window.client.unpin("Product", "catalog", "part-1");
      await window.client.refill("catalog");
    });
  },
};
