/** The list of tasks and the form that adds one. */

import { type Api, type NewTask, type Status, type Task, zone } from "./api";
import { byId, dateText, element, giveFocusBack, showRows, timeText } from "./dom";
import type { Report } from "./report";

const REPEATS: Record<string, string> = { DAILY: "daily", WEEKLY: "weekly", MONTHLY: "monthly", YEARLY: "yearly" };
const EMPTY: Record<Status, string> = {
  open: "Nothing to do. Add a task above, or ask for one in the chat.",
  completed: "Nothing completed yet.",
};

export class Tasks {
  private readonly list = byId<HTMLUListElement>("task-list");
  private readonly empty = byId("task-empty");
  private readonly more = byId<HTMLButtonElement>("task-more");
  private readonly announce = byId("announce");
  private readonly filters = [...document.querySelectorAll<HTMLButtonElement>(".filter [data-status]")];
  private status: Status = "open";
  private shown: Task[] = [];
  private cursor: string | undefined;
  /** Pages that the reader has opened; a refresh reads all of them again. */
  private pages = 1;
  /** Only the newest refresh may draw: an older answer can come later. */
  private turn = 0;

  constructor(
    private readonly api: Api,
    private readonly report: Report,
  ) {
    const form = byId<HTMLFormElement>("new-task");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.add(form);
    });
    for (const filter of this.filters) {
      filter.addEventListener("click", () => void this.show(filter.dataset["status"] as Status));
    }
    this.more.addEventListener("click", () => void this.showMore());
  }

  /** Reads the tasks again and shows them. */
  async refresh(): Promise<void> {
    const turn = ++this.turn;
    // By id: one that is moved while pages are read is on two of them, and its later place counts.
    const tasks = new Map<string, Task>();
    let cursor: string | undefined;
    for (let page = 0; page < this.pages; page += 1) {
      const answer = await this.api.tasks(this.status, cursor);
      for (const task of answer.items) {
        tasks.delete(task.id);
        tasks.set(task.id, task);
      }
      cursor = answer.next_cursor ?? undefined;
      if (cursor === undefined) break;
    }
    if (turn !== this.turn) return;
    this.shown = [...tasks.values()];
    this.cursor = cursor;
    this.draw();
  }

  private async showMore(): Promise<void> {
    const before = this.shown.length;
    this.pages += 1;
    await this.report.watch(() => this.refresh(), this.more);
    giveFocusBack(this.list.children[before]?.querySelector("input") ?? this.first());
  }

  private async show(status: Status): Promise<void> {
    this.status = status;
    this.pages = 1;
    this.shown = [];
    // Nothing of the other filter stays under this one, however long its own take.
    this.list.replaceChildren();
    this.empty.hidden = this.more.hidden = true;
    for (const filter of this.filters) filter.setAttribute("aria-pressed", String(filter.dataset["status"] === status));
    await this.report.watch(() => this.refresh());
  }

  private async add(form: HTMLFormElement): Promise<void> {
    const title = byId<HTMLInputElement>("new-title");
    if (title.value.trim() === "") {
      title.focus();
      return;
    }
    await this.report.watch(async () => {
      const task = read(form);
      await this.api.add(task);
      // The next one may be half typed already.
      if (read(form).title === task.title) form.reset();
      this.announce.textContent = `Added: ${task.title}`;
      if (this.status === "open") await this.refresh();
      else await this.show("open");
    }, byId<HTMLButtonElement>("add"));
    giveFocusBack(title);
  }

  private async change(task: Task, said: string, change: () => Promise<unknown>, control: HTMLInputElement | HTMLButtonElement): Promise<void> {
    const done = await this.report.watch(async () => {
      await change();
      this.announce.textContent = `${said}: ${task.title}`;
    }, control);
    // Also after a refusal: the list says what is true.
    await this.report.watch(() => this.refresh());
    if (!done) this.draw();
    // The row may be gone: then nearby.
    giveFocusBack(control.isConnected ? control : this.first());
  }

  private first(): HTMLElement {
    return this.list.querySelector<HTMLElement>("input") ?? byId("new-title");
  }

  private draw(): void {
    showRows(this.list, this.shown, (task) => JSON.stringify(task) + overdue(task), (task) => this.row(task));
    // A change that was refused left its mark.
    for (const task of this.shown) byId<HTMLInputElement>(`task-${task.id}`).checked = task.status === "completed";
    this.empty.hidden = this.shown.length > 0;
    this.empty.textContent = EMPTY[this.status];
    this.more.hidden = this.cursor === undefined;
  }

  private row(task: Task): HTMLLIElement {
    const open = task.status === "open";
    const box = element("input", { type: "checkbox", checked: !open, id: `task-${task.id}` });
    box.addEventListener("change", () => {
      void (open
        ? this.change(task, "Completed", () => this.api.complete(task.id), box)
        : this.change(task, "Open again", () => this.api.reopen(task.id), box));
    });
    const label = element("label", { htmlFor: box.id }, element("span", { className: "title", textContent: task.title }));
    const about = aboutText(task);
    if (about !== "") label.append(element("small", { textContent: about, className: overdue(task) ? "overdue" : "" }));
    const remove = element("button", { type: "button", textContent: "Delete" });
    remove.setAttribute("aria-label", `Delete ${task.title}`);
    remove.dataset["action"] = "delete";
    remove.addEventListener("click", () => void this.change(task, "Deleted", () => this.api.remove(task.id), remove));
    const row = element("li", { className: "task card" }, box, label, remove);
    row.dataset["task"] = task.id;
    row.dataset["status"] = task.status;
    return row;
  }
}

function read(form: HTMLFormElement): NewTask {
  const field = (name: string) => String(new FormData(form).get(name) ?? "").trim();
  const due = field("due");
  const repeat = field("repeat");
  return {
    title: field("title"),
    time_zone: zone(),
    ...(due === "" ? {} : { due_at: new Date(due).toISOString() }),
    ...(repeat === "" ? {} : { recurrence: { rrule: `FREQ=${repeat}` } }),
  };
}

function overdue(task: Task): boolean {
  return task.status === "open" && !!task.due_at && Date.parse(task.due_at) < Date.now();
}

function aboutText(task: Task): string {
  const parts: string[] = [];
  if (task.due_at) parts.push(`${overdue(task) ? "Overdue since" : "Due"} ${timeText(task.due_at)}`);
  else if (task.due_date) parts.push(`Due ${dateText(task.due_date)}`);
  const rule = task.recurrence?.rrule;
  const days = task.recurrence?.after_completion_days;
  if (rule) parts.push(`repeats ${repeatText(rule)}`);
  else if (days) parts.push(`again ${days} days after completion`);
  if (task.completed_at) parts.push(`completed ${timeText(task.completed_at)}`);
  return parts.join(" · ");
}

/** A plain rule in a word; any other as it is written. */
function repeatText(rule: string): string {
  const plain = /^(?:RRULE:)?FREQ=([A-Z]+)$/.exec(rule)?.[1];
  return (plain && REPEATS[plain]) ?? rule;
}
