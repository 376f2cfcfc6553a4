// How things look: elements from what is known, and no knowledge of its own.

import type { Connection, Outcome } from "landfall-web";
import type { StopRow, StopStatus } from "./schema.js";

/** Where a row's own writes stand: on this phone only, in a region, in enough of them. */
export type Safety = "pending" | "accepted" | "safe";

const SAFETY: Record<Safety, string> = { pending: "◷ on this phone", accepted: "✓ in a region", safe: "✓✓ safe" };
const STATUS: Record<string, string> = { PLANNED: "Planned", DELIVERED: "Delivered", MISSED: "Missed" };
const MARKS = ["fragile", "ring twice"];

export interface Screen {
  element: HTMLElement;
  connection(connection: Connection, waiting: number): void;
  /** `news`: stops that change by what somebody else did. */
  stops(stops: HTMLElement[], news: string[]): void;
  outcomes(outcomes: HTMLElement[]): void;
}

export function drawPhone(title: string, does: { connect: (on: boolean) => void; add: () => void }): Screen {
  const where = make("small", {}, "not connected");
  const connected = make("button", { class: "switch", role: "switch", type: "button", "aria-label": `${title} connected` }, make("i"));
  connected.addEventListener("click", () => does.connect(connected.getAttribute("aria-checked") !== "true"));
  const strip = make("div", { class: "strip" }, make("span"), make("span"));
  const stops = make("ul", { class: "stops" });
  const outcomes = make("div");
  const add = make("button", { class: "add", type: "button" }, "+ Add a stop");
  add.addEventListener("click", does.add);
  const who = make("div", { class: "who" }, make("b", {}, title), where);
  const bar = make("div", { class: "bar" }, make("div", { class: "avatar" }, title.slice(0, 1)), who, connected);
  const screen = make("div", { class: "screen" }, bar, strip, outcomes, stops, add);
  return {
    element: make("section", { class: "phone", "aria-label": `${title}'s phone`, "data-phone": title }, screen),
    connection({ state, region }, waiting) {
      where.textContent = region === undefined ? "no region" : `by region ${region}`;
      connected.setAttribute("aria-checked", String(state !== "offline"));
      strip.dataset["state"] = state;
      const words = { online: "Connected", connecting: "Connecting…", waiting: "Looking for a region…", standby: "Standing by", offline: "Cut off" };
      strip.children[0]!.textContent = words[state];
      strip.children[1]!.textContent = waiting === 0 ? "all sent" : `${waiting} to send`;
    },
    stops: (all, news) => {
      exchange(stops, all);
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
        return;
      }
      for (const stop of stops.querySelectorAll<HTMLElement>("[data-stop]")) {
        if (news.includes(stop.dataset["stop"]!)) {
          stop.animate([{}, { boxShadow: "0 0 0 3px var(--accent)", offset: 0.25 }, {}], 1_400);
        }
      }
    },
    outcomes: (all) => exchange(outcomes, all),
  };
}

/** Put in what is new and leave what is as it was: a button keeps its focus under the finger. */
function exchange(list: HTMLElement, all: HTMLElement[]): void {
  all.forEach((now, at) => {
    const old = list.children[at];
    if (old === undefined) {
      list.append(now);
    } else if (!old.isEqualNode(now)) {
      const focus = [...old.querySelectorAll("button")].findIndex((button) => button === document.activeElement);
      old.replaceWith(now);
      now.querySelectorAll("button")[focus]?.focus();
    }
  });
  [...list.children].slice(all.length).forEach((surplus) => surplus.remove());
}

interface Deeds {
  choose: (status: StopStatus) => void;
  count: (by: number) => void;
  mark: (mark: string, on: boolean) => void;
}

export function drawStop(row: StopRow, safety: Safety, does: Deeds): HTMLElement {
  const choices = Object.entries(STATUS).map(([status, word]) =>
    pressed(word, row.status === status, () => does.choose(status), { "data-status": status }));
  const given = JSON.parse(row.marks) as string[];
  const marks = [...new Set([...MARKS, ...given])].map((mark) =>
    pressed(mark, given.includes(mark), () => does.mark(mark, !given.includes(mark)), { class: "mark" }));
  const step = (text: string, word: string, by: number) => {
    const button = make("button", { class: "step", type: "button", "aria-label": word }, text);
    button.addEventListener("click", () => does.count(by));
    return button;
  };
  const parcels = make("div", { class: "parcels" }, step("−", "one parcel less", -1),
    make("output", { title: "parcels" }, String(row.parcels)), step("+", "one parcel more", 1));
  const head = make("header", {}, make("h2", {}, row.customer),
    make("span", { class: "safe", "data-safe": safety }, SAFETY[safety]));
  return make("li", { class: "stop", "data-stop": row.id }, head, make("p", {}, row.address),
    make("div", { class: "choice" }, ...choices), make("div", { class: "more" }, ...marks, parcels));
}

export function drawOutcome(outcome: Outcome, row: StopRow | undefined, answer: (again: boolean) => void): HTMLElement {
  const stop = row?.customer ?? "A stop";
  const [title, text, again] = words(outcome, stop, row);
  const button = (word: string, does: boolean) => {
    const made = make("button", { type: "button" }, word);
    made.addEventListener("click", () => answer(does));
    return made;
  };
  const buttons = again === null ? [button("Understood", false)] : [button(again, true), button("Leave it", false)];
  return make("aside", { class: "outcome", role: "alert" }, make("b", {}, title), make("p", {}, text),
    make("div", { class: "answer" }, ...buttons));
}

/** Title, text, and what can be done about it. */
function words(outcome: Outcome, stop: string, row: StopRow | undefined): [string, string, string | null] {
  const word = (status: unknown) => STATUS[String(status)] ?? String(status);
  switch (outcome.kind) {
    case "overwritten":
      return ["Two drivers, one answer",
        `You said “${word(outcome.lost)}” for ${stop} while cut off. The other phone said “${word(row?.status)}” after you, ` +
        "without having seen yours.", `It was “${word(outcome.lost)}”`];
    case "rejected":
      return ["A region refused this", `${stop}: ${outcome.detail ?? outcome.code ?? ""}`, "Try again"];
    case "deleted":
      return ["Deleted meanwhile", `${stop} was deleted before your change arrived.`, null];
    default:
      return ["Not yours any more", `${stop} left this phone before your change was sent.`, null];
  }
}

function pressed(word: string, on: boolean, does: () => void, more: Record<string, string>): HTMLElement {
  const button = make("button", { type: "button", "aria-pressed": String(on), ...more }, word);
  button.addEventListener("click", does);
  return button;
}

function make(name: string, attributes: Record<string, string> = {}, ...children: (Node | string)[]): HTMLElement {
  const element = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
  element.append(...children);
  return element;
}
