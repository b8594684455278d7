/** Finding and making elements. Text goes in as text only, never as markup. */

/** The element of that id, which the page's own HTML has. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** A new element with properties and children. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** After work whose control was switched off, which took the focus: the keyboard goes on there, unless the person has moved on. */
export function giveFocusBack(to: HTMLElement): void {
  if (document.activeElement === document.body) to.focus();
}

/**
 * One row for each item, in their order. The row of an item that is as it was stays the same element: a refresh takes nobody's focus
 * away, nor what is half typed in it.
 */
export function showRows<T extends { id: string }>(list: HTMLElement, items: T[], is: (item: T) => string, make: (item: T) => HTMLElement): void {
  const old = new Map([...list.children].map((row) => [(row as HTMLElement).dataset["id"], row as HTMLElement]));
  const rows = items.map((item) => {
    const before = old.get(item.id);
    const row = before?.dataset["is"] === is(item) ? before : make(item);
    row.dataset["id"] = item.id;
    row.dataset["is"] = is(item);
    return row;
  });
  const keep = new Set(rows);
  for (const row of [...list.children]) if (!keep.has(row as HTMLElement)) row.remove();
  rows.forEach((row, at) => {
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeZone: "UTC" });

/** A point in time in the reader's own language and zone. */
export function timeText(rfc3339: string): string {
  const parsed = new Date(rfc3339);
  return Number.isNaN(parsed.getTime()) ? rfc3339 : moment.format(parsed);
}

/** A date without a time: the same day wherever it is read. */
export function dateText(date: string): string {
  const parsed = new Date(`${date}T00:00:00Z`);
  return Number.isNaN(parsed.getTime()) ? date : day.format(parsed);
}
