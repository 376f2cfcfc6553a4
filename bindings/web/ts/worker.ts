// The worker of one tab. Of all workers of a file one owns it: it holds the lock of its name, has
// the file open, and answers the calls of all tabs. When its tab goes, the browser frees the lock
// and the next worker in line takes over.
//
// A call that the last owner did not answer is made again at the next one. What a write would do
// twice it does once: it carries the call's name, and the client keeps the names of what it has
// written, in the transaction that writes it.

import { fileLock } from "./locks.js";
import type { Answer, Between, Call, Goal, News, ToPage, ToWorker } from "./messages.js";
import { NO_STORAGE, Owner, isPanic } from "./owner.js";
import { carryOut } from "./tasks.js";
import type { Query, SearchQuery } from "./values.js";

const self_ = self as unknown as DedicatedWorkerGlobalScope;

/** This tab among all that may have the file. */
const tab = crypto.randomUUID();

type OpenMessage = Extract<ToWorker, { open: unknown }>["open"];

class Tab {
  readonly #options: OpenMessage;
  readonly #channel: BroadcastChannel;
  /** Calls of this page without an answer, in order. */
  readonly #unanswered = new Map<number, Call>();
  /** Live queries of this page, and whether their next update is the first from its owner. */
  readonly #watches = new Map<number, { query: Query | SearchQuery; first: boolean }>();
  readonly #closing = new AbortController();
  #owner: Owner | null = null;
  /** Why this tab cannot own the file. */
  #failed: { code: string; message: string } | null = null;
  #goal: Goal;

  constructor(options: OpenMessage) {
    this.#options = options;
    this.#goal = { online: options.startOffline !== true, conditions: {} };
    this.#channel = new BroadcastChannel(`landfall:${options.name}`);
    this.#channel.onmessage = (message: MessageEvent<Between>) => this.#between(message.data);
    if (options.inMemory === true) {
      void this.#own();
      return;
    }
    // Held as long as the tab lives, so that the owner notices its end.
    void navigator.locks.request(tabLock(tab), () => this.#closed());
    const lock = { signal: this.#closing.signal };
    navigator.locks.request(fileLock(options.name), lock, () => this.#own()).catch((error: Error) => {
      // Its own end is none of its failures.
      if (!this.#closing.signal.aborted) {
        this.#fail({ code: NO_STORAGE, message: error.message });
      }
    });
  }

  call(call: Call): void {
    if (this.#failed !== null && call.method !== "close") {
      this.#answer({ id: call.id, error: this.#failed });
      return;
    }
    if (call.method === "close") {
      void this.#close(call);
      return;
    }
    this.#note(call);
    this.#unanswered.set(call.id, call);
    this.#make(call);
  }

  /** What has to be said again to the next owner. */
  #note(call: Call): void {
    const [watch, query] = call.args as [number, Query | SearchQuery];
    if (call.method === "watch") {
      this.#watches.set(watch, { query, first: true });
    } else if (call.method === "unwatch") {
      this.#watches.delete(watch);
    } else if (call.method === "giveUp") {
      this.#unanswered.delete((call.args as [number])[0]);
    }
  }

  #make(call: Call): void {
    if (this.#owner !== null) {
      void this.#owner.call(tab, call).then((answer) => this.#answer(answer));
    } else if (this.#options.inMemory !== true) {
      this.#tell({ kind: "call", from: tab, call });
    }
  }

  #between(message: Between): void {
    switch (message.kind) {
      case "owner":
        return this.#newOwner();
      case "call":
        return this.#callOfAnother(message.from, message.call);
      case "answer":
        return message.to === tab ? this.#answer(message.answer) : undefined;
      case "news":
        return message.to === null || message.to === tab ? this.#news(message.news) : undefined;
      case "goal":
        this.#goal = message.goal;
    }
  }

  #callOfAnother(from: string, call: Call): void {
    const owner = this.#owner;
    if (owner === null || !owner.isNew(from, call.id)) {
      return;
    }
    owner.follow(from, tabLock(from));
    void owner.call(from, call).then((answer) => {
      this.#tell({ kind: "answer", to: from, answer });
    });
  }

  /** Say again what the last owner left without an answer, and what it followed for this page. */
  #newOwner(): void {
    const asked = new Set<number>();
    for (const call of this.#unanswered.values()) {
      if (call.method === "watch") {
        asked.add((call.args as [number])[0]);
      }
    }
    for (const [watch, state] of this.#watches) {
      state.first = true;
      if (!asked.has(watch)) {
        // A number of its own, which no page waits for; see `#answer`.
        this.#make({ id: -watch, method: "watch", args: [watch, state.query] });
      }
    }
    [...this.#unanswered.values()].forEach((call) => this.#make(call));
  }

  #answer(answer: Answer): void {
    if (this.#unanswered.delete(answer.id)) {
      page({ answer });
    } else if (answer.id < 0 && "error" in answer) {
      // A query that the last owner could answer and this one cannot: it may have another schema.
      this.#news({ watch: -answer.id, error: answer.error });
    }
  }

  #news(news: News): void {
    if ("event" in news) {
      page({ news });
      return;
    }
    const watch = this.#watches.get(news.watch);
    if (watch === undefined) {
      return;
    }
    if ("update" in news) {
      page({ news: { ...news, first: watch.first } });
      watch.first = false;
    } else {
      this.#watches.delete(news.watch);
      page({ news });
    }
  }

  /** Own the file until this tab is closed. */
  async #own(): Promise<void> {
    const tell = (to: string | null, news: News) => {
      if (to === null || to === tab) {
        this.#news(news);
      }
      if (to !== tab) {
        this.#tell({ kind: "news", to, news });
      }
    };
    const goal = (change: Partial<Goal>) => {
      this.#goal = { ...this.#goal, ...change };
      this.#tell({ kind: "goal", goal: this.#goal });
    };
    try {
      const { online, conditions } = this.#goal;
      const options = { ...this.#options, token: askToken, startOffline: !online };
      this.#owner = await Owner.open(options, { tell, goal }, conditions);
    } catch (error) {
      if (!isPanic(error)) {
        this.#fail(error as { code: string; message: string });
      }
      return;
    }
    this.#tell({ kind: "owner" });
    this.#newOwner();
    tell(null, { event: { kind: "takenOver" } });
    await this.#closed();
  }

  /** Who asked, and who follows a query, hears that this tab cannot have the file. */
  #fail(error: { code: string; message: string }): void {
    this.#failed = error;
    [...this.#unanswered.keys()].forEach((id) => this.#answer({ id, error }));
    [...this.#watches.keys()].forEach((watch) => this.#news({ watch, error }));
  }

  async #close(call: Call): Promise<void> {
    const owner = this.#owner;
    this.#owner = null;
    let answer: Answer = { id: call.id, value: undefined };
    try {
      await owner?.close();
    } catch (error) {
      answer = { id: call.id, error: error as { code: string; message: string } };
    }
    // Frees the locks: the next in line owns the file, or its owner forgets this tab.
    this.#closing.abort();
    page({ answer });
  }

  #closed(): Promise<void> {
    const { signal } = this.#closing;
    return new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
      }
      signal.addEventListener("abort", () => resolve());
    });
  }

  #tell(message: Between): void {
    this.#channel.postMessage(message);
  }
}

function tabLock(name: string): string {
  return `landfall:tab:${name}`;
}

function page(message: ToPage): void {
  self_.postMessage(message);
}

const tokens = new Map<number, { resolve: (token: string) => void; reject: (error: Error) => void }>();
let lastToken = 0;

/** The page has the app's function, or its fixed token. */
function askToken(reason: string): Promise<string> {
  lastToken += 1;
  page({ askToken: lastToken, reason });
  return new Promise((resolve, reject) => tokens.set(lastToken, { resolve, reject }));
}

let current: Tab | null = null;

// A panic in what no page waits for, such as a tab that has gone. It may not go unheard.
self_.addEventListener("unhandledrejection", ({ reason }) => isPanic(reason));

self_.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if ("open" in data) {
    current = new Tab(data.open);
  } else if ("task" in data) {
    void carryOut(data.task).then((answer) => page({ answer }));
  } else if ("call" in data) {
    current?.call(data.call);
  } else {
    const waiting = tokens.get(data.token);
    tokens.delete(data.token);
    if ("failed" in data) {
      waiting?.reject(new Error(data.failed));
    } else {
      waiting?.resolve(data.value);
    }
  }
};
