// One phone: a client, the rows that it shows, and what became of its own writes.

import { open, type Connection, type Fate, type Landfall, type Outcome, type RowChange } from "landfall-web";
import { schema, type StopRow, type StopStatus, type Tables } from "./schema.js";
import { drawOutcome, drawPhone, drawStop, type Safety, type Screen } from "./draw.js";

export interface Owner {
  subject: string;
  title: string;
  token: string;
}

export interface Config {
  regions: { name: string; url: string }[];
  phones: Owner[];
}

/** The round that both are on. */
const ROUND = "monday";

const NEW_STOPS = [
  ["Café Lumière", "12 rue Mercière", 2],
  ["Atelier Blanc", "3 quai Saint-Antoine", 1],
  ["M. Okafor", "41 montée de la Grande Côte", 4],
  ["Librairie du Port", "8 place Sathonay", 3],
] as const;

export class Phone {
  readonly title: string;
  readonly #owner: Owner;
  readonly #config: Config;
  readonly #at: number;
  readonly #changed: () => void;
  readonly #screen: Screen;
  #client: Landfall<Tables> | null = null;
  #rows: StopRow[] = [];
  /** Own writes that are not everywhere yet: their fates by stop and write. */
  readonly #fates = new Map<string, Map<string, Fate>>();
  #outcomes: Outcome[] = [];
  #connection: Connection = { state: "offline" };

  constructor(owner: Owner, config: Config, at: number, changed: () => void) {
    this.title = owner.title;
    this.#owner = owner;
    this.#config = config;
    this.#at = at;
    this.#changed = changed;
    this.#screen = drawPhone(owner.title, { connect: (on) => this.#connect(on), add: () => this.#add() });
  }

  get element(): HTMLElement {
    return this.#screen.element;
  }

  get isOnline(): boolean {
    return this.#connection.state === "online";
  }

  /** What this phone shows of each stop, to compare with the other; nothing before it has opened. */
  shown(): Map<string, string> | undefined {
    const line = (row: StopRow) => [row.place, row.status, row.parcels, row.marks].join();
    return this.#client === null ? undefined : new Map(this.#rows.map((row) => [row.id, line(row)]));
  }

  async start(mayBegin: boolean): Promise<void> {
    const { regions } = this.#config;
    const client = await open<Tables>({
      name: `showcase-${this.#owner.subject}`,
      schema,
      account: { tenant: "", subject: this.#owner.subject },
      // Each phone is at home in another region.
      regions: [...regions.slice(this.#at), ...regions.slice(0, this.#at)],
      token: this.#owner.token,
    });
    this.#client = client;
    client.events((event) => {
      if (event.kind === "fate") {
        this.#reached(event.key.id, event.dot, event.fate);
      } else if (event.kind === "connection") {
        this.#connected(event.connection);
      } else if (event.kind === "outcome") {
        void this.#lookAtOutcomes();
      }
    });
    this.#connected(await client.connection());
    await client.subscribe(`round/${ROUND}`);
    void this.#follow(client);
    await this.#lookAtOutcomes();
    if (mayBegin) {
      await client.settle(20_000);
      if ((await client.query('SELECT 1 FROM "Stop" LIMIT 1')).length === 0) {
        await this.#begin(client);
      }
    }
  }

  async #follow(client: Landfall<Tables>): Promise<void> {
    const query = { table: "Stop", orderBy: [{ column: "place" }] };
    for await (const { rows, changes, reset } of client.observeChanges<StopRow>(query)) {
      const news = changes.flatMap((change) => (isNews(change) ? [change.row.id] : []));
      this.#rows = rows;
      this.#draw(reset ? [] : news);
    }
  }

  async #begin(client: Landfall<Tables>): Promise<void> {
    const transaction = client.transaction();
    NEW_STOPS.forEach(([customer, address, parcels], at) => {
      const stop = { round: ROUND, place: at + 1, customer, address, status: "PLANNED" };
      transaction.upsert("Stop", `stop-${at + 1}`, stop).increment("Stop", `stop-${at + 1}`, "parcels", parcels);
    });
    await transaction.commit();
  }

  // ---- what the user does ----

  #connect(on: boolean): void {
    void (on ? this.#client?.goOnline() : this.#client?.goOffline());
  }

  #choose(id: string, status: StopStatus): void {
    void this.#client?.update("Stop", id, { status });
  }

  #count(id: string, by: number): void {
    void this.#client?.transaction().increment("Stop", id, "parcels", by).commit();
  }

  #mark(id: string, mark: string, on: boolean): void {
    const transaction = this.#client?.transaction();
    void (on ? transaction?.addToSet("Stop", id, "marks", mark) : transaction?.removeFromSet("Stop", id, "marks", mark))
      ?.commit();
  }

  #add(): void {
    const place = Math.max(0, ...this.#rows.map((row) => row.place)) + 1;
    const stop = { round: ROUND, place, customer: `${this.title}'s extra stop`, address: "on the way", status: "PLANNED" };
    const id = crypto.randomUUID();
    void this.#client?.transaction().upsert("Stop", id, stop).increment("Stop", id, "parcels", 1).commit();
  }

  /** The user has seen what became of a write: make it anew, or let it be. */
  async #answer(outcome: Outcome, again: boolean): Promise<void> {
    if (again && outcome.kind === "overwritten" && outcome.field === "status") {
      await this.#client?.update("Stop", outcome.key.id, { status: outcome.lost as StopStatus });
    } else if (again && outcome.kind === "rejected") {
      await this.#client?.resubmit(outcome.dot);
    }
    await this.#client?.dismiss(outcome.dot);
    await this.#lookAtOutcomes();
  }

  // ---- what happened ----

  #reached(id: string, dot: string, fate: Fate): void {
    const fates = this.#fates.get(id) ?? new Map<string, Fate>();
    this.#fates.set(id, fates);
    if (fate.state === "pending" || (fate.state === "accepted" && !fate.durable)) {
      fates.set(dot, fate);
    } else {
      fates.delete(dot);
    }
    this.#draw([]);
  }

  #connected(connection: Connection): void {
    this.#connection = connection;
    this.#draw([]);
  }

  async #lookAtOutcomes(): Promise<void> {
    this.#outcomes = (await this.#client?.outcomes()) ?? [];
    this.#draw([]);
  }

  #safety(row: StopRow): Safety {
    const fates = [...(this.#fates.get(row.id)?.values() ?? [])];
    if (fates.some((fate) => fate.state === "pending")) {
      return "pending";
    }
    return fates.length > 0 ? "accepted" : row._pending === 1 ? "pending" : "safe";
  }

  #draw(news: string[]): void {
    const waiting = this.#rows.filter((row) => this.#safety(row) === "pending").length;
    this.#screen.connection(this.#connection, waiting);
    const stops = this.#rows.map((row) => drawStop(row, this.#safety(row), {
      choose: (status) => this.#choose(row.id, status),
      count: (by) => this.#count(row.id, by),
      mark: (mark, on) => this.#mark(row.id, mark, on),
    }));
    this.#screen.stops(stops, news);
    this.#screen.outcomes(this.#outcomes.map((outcome) => {
      const row = this.#rows.find((row) => row.id === outcome.key.id);
      return drawOutcome(outcome, row, (again) => void this.#answer(outcome, again));
    }));
    this.#changed();
  }
}

/** What somebody else did: an own write is pending, and when it no longer is, nothing else changes. */
function isNews(change: RowChange<StopRow>): change is RowChange<StopRow> & { row: StopRow } {
  const columns = change.kind === "update" ? change.columns.filter((name) => name !== "_pending") : ["all"];
  return "row" in change && change.row._pending === 0 && columns.length > 0;
}
