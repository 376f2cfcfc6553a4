// Two phones side by side. Everything they know of each other went through the regions; only the
// line above them looks into both, to say whether they show the same.

import { Phone, type Config } from "./phone.js";

const verdict = document.querySelector<HTMLElement>("#verdict")!;
const config: Config = await (await fetch("config.json")).json();
const phones = config.phones.map((owner, at) => new Phone(owner, config, at, judge));
document.querySelector("#phones")!.append(...phones.map((phone) => phone.element));
// A phone without a round makes one; the other has it from the regions.
await Promise.all(phones.map((phone, at) => phone.start(at === 0)));

function judge(): void {
  const [one, two] = phones.map((phone) => phone.shown());
  if (one === undefined || two === undefined) {
    return;
  }
  const ids = new Set([...one.keys(), ...two.keys()]);
  const apart = [...ids].filter((id) => one.get(id) !== two.get(id)).length;
  const off = phones.filter((phone) => !phone.isOnline).map((phone) => phone.title);
  const same = apart === 0 && ids.size > 0;
  verdict.dataset["state"] = same ? "same" : "apart";
  const cut = off.length === 0 ? "" : `${off.join(" and ")} ${off.length === 1 ? "is" : "are"} cut off. `;
  const differ = apart === 1 ? "One stop differs." : `${apart} stops differ.`;
  verdict.textContent = cut + (same ? "Both phones show the same." : ids.size === 0 ? "Nothing here yet." : differ);
}
