/** The list of notifications. */

import type { Api, Notification } from "./api";
import { byId, element, giveFocusBack, timeText } from "./dom";
import type { Report } from "./report";

export class Notifications {
  private readonly list = byId<HTMLUListElement>("notification-list");
  private readonly empty = byId("notification-empty");
  private readonly unread = byId("unread");
  private readonly readAll = byId<HTMLButtonElement>("notification-read-all");
  private readonly more = byId<HTMLButtonElement>("notification-more");
  /** Pages that the reader has opened; a refresh reads all of them again. */
  private pages = 1;
  private turn = 0;

  constructor(
    private readonly api: Api,
    private readonly report: Report,
  ) {
    this.more.addEventListener("click", () => void this.showMore());
    this.readAll.addEventListener("click", () => void this.markAllRead());
  }

  /** Reads the notifications again and shows them. */
  async refresh(): Promise<void> {
    const turn = ++this.turn;
    const items: Notification[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < this.pages; page += 1) {
      const answer = await this.api.notifications(cursor);
      items.push(...answer.items);
      cursor = answer.next_cursor ?? undefined;
      if (cursor === undefined) break;
    }
    const unread = await this.api.unread();
    if (turn === this.turn) this.draw(items, cursor !== undefined, unread);
  }

  private async showMore(): Promise<void> {
    const before = this.list.children.length;
    this.pages += 1;
    await this.report.watch(() => this.refresh(), this.more);
    giveFocusBack(this.list.children[before]?.querySelector("button") ?? this.list);
  }

  private draw(items: Notification[], hasMore: boolean, unread: number): void {
    const known = new Map([...this.list.children].map((row) => [(row as HTMLElement).dataset["notification"], row]));
    // Those that are shown already stay, so that a screen reader speaks new ones only.
    items.forEach((item, at) => {
      const row = known.get(item.id) ?? this.row(item);
      if (item.read_at) row.querySelector("button")?.remove();
      known.delete(item.id);
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
    });
    for (const row of known.values()) row.remove();
    this.unread.textContent = String(unread);
    this.unread.hidden = unread === 0;
    this.readAll.hidden = unread === 0;
    this.more.hidden = !hasMore;
    this.empty.hidden = items.length > 0;
  }

  private row(item: Notification): HTMLLIElement {
    const row = element("li", { className: "card" }, element("strong", { textContent: item.title }));
    if (item.message !== item.title) row.append(element("span", { textContent: item.message }));
    row.append(element("div", { className: "note", textContent: timeText(item.created_at) }));
    row.dataset["notification"] = item.id;
    if (!item.read_at) row.append(this.readButton(item));
    return row;
  }

  /** What has come since the list was drawn stays: nobody has seen it. */
  private async markAllRead(): Promise<void> {
    const newest = (this.list.firstElementChild as HTMLElement | null)?.dataset["notification"];
    if (newest === undefined) return;
    await this.report.watch(async () => {
      await this.api.markAllRead(newest);
      await this.refresh();
    }, this.readAll);
    giveFocusBack(this.readAll.hidden ? this.list : this.readAll);
  }

  private readButton(item: Notification): HTMLButtonElement {
    const button = element("button", { type: "button", textContent: "Mark as read" });
    button.setAttribute("aria-label", `Mark as read: ${item.title}`);
    button.addEventListener("click", () => void this.markRead(item, button));
    return button;
  }

  private async markRead(item: Notification, button: HTMLButtonElement): Promise<void> {
    await this.report.watch(async () => {
      await this.api.markRead(item.id);
      await this.refresh();
    }, button);
    giveFocusBack(button.isConnected ? button : (this.list.querySelector("button") ?? this.list));
  }
}
