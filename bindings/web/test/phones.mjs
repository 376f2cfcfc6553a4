// Phones for a test: each a browser profile of its own, with one page or several.

import assert from "node:assert/strict";
import { SCHEMA } from "./world.mjs";

/** How long a test waits for what must happen, in milliseconds. */
export const SOON = 60_000;

export class Phones {
  #world;
  #files;
  #browser;
  #contexts = [];

  constructor(world, files, browser) {
    this.#world = world;
    this.#files = files;
    this.#browser = browser;
  }

  get regions() {
    return this.#world.regions;
  }

  guide() {
    return this.#world.guide();
  }

  token(user, scopes) {
    return this.#world.token(user, scopes);
  }

  /** A phone of this user, with the shop open. Reads and writes everything unless told. */
  async phone(user, { scopes = "*", ...more } = {}) {
    const phone = await this.closed(user, scopes);
    await phone.open(more);
    return phone;
  }

  /** The same, not opened yet. */
  async closed(user, scopes = "*") {
    const context = await this.#browser.newContext();
    this.#contexts.push(context);
    const options = {
      name: "shop", schema: SCHEMA, account: { tenant: "", subject: user },
      regions: this.#world.regions, token: this.#world.token(user, scopes),
    };
    return Tab.in(context, this.#files.url, options);
  }

  async close() {
    await Promise.all(this.#contexts.map((context) => context.close()));
  }
}

/** A page of a phone. `window.client` is its client, `window.landfall` the package. */
export class Tab {
  #context;
  #url;
  #options;

  static async in(context, url, options) {
    const tab = new Tab();
    tab.#context = context;
    tab.#url = url;
    tab.#options = options;
    tab.page = await context.newPage();
    tab.page.on("console", (message) => message.type() === "error" && console.log(`    page: ${message.text()}`));
    tab.page.on("pageerror", (error) => console.log(`    page: ${error.message}`));
    await tab.load();
    return tab;
  }

  async load() {
    await this.page.goto(this.#url);
    await this.page.waitForFunction(() => window.landfall !== undefined);
  }

  /** What `open` is given, with some of it otherwise. */
  options(more = {}) {
    return { ...this.#options, ...more };
  }

  /** Another page of the same phone. */
  another() {
    return Tab.in(this.#context, this.#url, this.#options);
  }

  open(more = {}) {
    return this.run(async (options) => {
      window.client = await window.landfall.open(options);
    }, this.options(more));
  }

  /** Run something in the page, where `client` and `landfall` are at hand. */
  run(work, argument) {
    return this.page.evaluate(work, argument);
  }

  query(sql, params = []) {
    return this.run(([sql, params]) => window.client.query(sql, params), [sql, params]);
  }

  /** Write an order in the market fr. */
  order(id, status, note = null) {
    return this.run(([id, status, note]) => {
      const fields = { market: "fr", placedAt: 1_700_000_000_000_000, status };
      const transaction = window.client.transaction().upsert("Order", id, fields);
      return note === null ? transaction.commit() : transaction.splice("Order", id, "note", 0, 0, note).commit();
    }, [id, status, note]);
  }

  settle() {
    return this.run((soon) => window.client.settle(soon), SOON);
  }

  /** Fails unless the call fails with this code, and typed. */
  async fails(code, work, argument) {
    const found = await this.page.evaluate(
      ([work, argument]) => window.attempt(() => (0, eval)(`(${work})`)(argument)), [work.toString(), argument]);
    assert.equal(found.code, code, `${work}: ${found.message}`);
    assert(found.typed, `${work}: a LandfallError`);
  }
}

export async function eventually(what, check) {
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
