/** Where else a person is told: adds, tests and removes channels, and shows whether deliveries arrived. */

import type { Api, Channel, Delivery, Kind, Kinds, NewChannel } from "./api";
import { byId, element, giveFocusBack, showRows, timeText } from "./dom";
import { type OwnPush, subscribe, type Subscription, subscriptionIn, unsubscribe } from "./push";
import type { Report } from "./report";

const NAMES: Record<Kind, string> = { web_push: "This browser", webhook: "Webhook", email: "E-mail", ntfy: "ntfy" };
const TARGETS: Record<Exclude<Kind, "web_push">, { label: string; type: string }> = {
  webhook: { label: "URL that is called", type: "url" },
  email: { label: "Address", type: "email" },
  ntfy: { label: "Topic", type: "text" },
};
/** Until deliveries that wait are looked at again: at first, and at most. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 30_000;
const STATES: Record<Delivery["state"], string> = { waiting: "on its way", sent: "accepted", failed: "failed", cancelled: "not needed any more" };

export class Channels {
  private readonly list = byId<HTMLUListElement>("channel-list");
  private readonly deliveries = byId<HTMLUListElement>("delivery-list");
  private readonly form = byId<HTMLFormElement>("channel-form");
  private readonly kind = byId<HTMLSelectElement>("channel-kind");
  private readonly target = byId<HTMLInputElement>("channel-target");
  private readonly said = byId("channel-said");
  private readonly secrets = byId("channel-secrets");
  private timer: number | undefined;
  private pause = FIRST_PAUSE_MS;
  private turn = 0;

  constructor(
    private readonly api: Api,
    private readonly report: Report,
    /** What this browser is to this person, if it is a channel of theirs. */
    private readonly ownPush: OwnPush,
  ) {
    void this.offer();
  }

  /** Shows what the platform offers; nothing if that is nothing. */
  private async offer(): Promise<void> {
    let kinds: Kinds;
    try {
      kinds = await this.api.channelKinds();
    } catch {
      // The tasks say already when the platform cannot be reached.
      return;
    }
    if (Object.keys(kinds).length === 0) return;
    byId("channels").hidden = false;
    if (kinds.web_push) await this.offerPush(kinds.web_push.public_key);
    this.offerForm(kinds);
    byId("deliveries").addEventListener("toggle", () => void this.report.watch(() => this.showDeliveries()));
    await this.report.watch(() => this.refresh());
  }

  private async offerPush(key: string): Promise<void> {
    const button = byId<HTMLButtonElement>("push-enable");
    const present = await subscriptionIn();
    if (present === undefined) return;
    if (present) await this.report.watch(() => this.renewPush(present));
    button.hidden = this.ownPush.id !== null;
    button.addEventListener("click", () => {
      void this.report.watch(async () => {
        const subscription = await subscribe(key);
        if (!subscription) return this.say("The browser was not allowed to show notifications. Allow it in its settings for this page.");
        await this.addPush(subscription);
        button.hidden = true;
        await this.refresh();
      }, button);
    });
  }

  /** The push service may have changed the subscription since; the platform knows it by its address. */
  private async renewPush(subscription: Subscription): Promise<void> {
    const { items } = await this.api.channels();
    if (items.some((channel) => channel.id === this.ownPush.id)) return this.addPush(subscription);
    // It was removed elsewhere, or it is of somebody who sat here before.
    await this.endPush();
  }

  private async endPush(): Promise<void> {
    this.ownPush.id = null;
    await unsubscribe();
  }

  private async addPush(subscription: Subscription): Promise<void> {
    const { id } = await this.api.addChannel({ kind: "web_push", name: NAMES.web_push, ...subscription });
    this.ownPush.id = id;
  }

  private async remove(channel: Channel): Promise<void> {
    await this.api.removeChannel(channel.id);
    if (channel.id !== this.ownPush.id) return;
    await this.endPush();
    byId("push-enable").hidden = false;
  }

  private offerForm(kinds: Kinds): void {
    for (const kind of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
      if (kinds[kind]) this.kind.append(element("option", { value: kind, textContent: NAMES[kind] }));
    }
    this.form.hidden = this.kind.options.length === 0;
    const describe = () => {
      const { label, type } = TARGETS[this.kind.value as keyof typeof TARGETS] ?? TARGETS.webhook;
      byId("channel-target-label").textContent = label;
      this.target.type = type;
    };
    describe();
    this.kind.addEventListener("change", describe);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.report.watch(() => this.add(), byId<HTMLButtonElement>("channel-add"));
    });
  }

  private async add(): Promise<void> {
    const value = this.target.value.trim();
    const request: Record<string, NewChannel> = {
      webhook: { kind: "webhook", url: value },
      email: { kind: "email", address: value },
      ntfy: { kind: "ntfy", topic: value },
    };
    const added = await this.api.addChannel(request[this.kind.value]!);
    this.form.reset();
    this.kind.dispatchEvent(new Event("change"));
    if (added.secret) {
      this.showSecret(added.target, added.secret);
      this.say("Added. Its secret is below.");
    } else if (added.secret_was_shown) this.say("It was added, but its secret did not arrive here: remove it and add it again.");
    else if (!added.confirmed) this.say("A code was sent to this address. Write it below.");
    else this.say("Added.");
    await this.refresh();
  }

  /** It is told once: it stays until the person has put it elsewhere. */
  private showSecret(target: string, secret: string): void {
    const text = element("code", { textContent: secret });
    const copy = element("button", { type: "button", textContent: "Copy" });
    const dismiss = element("button", { type: "button", textContent: "Dismiss" });
    for (const button of [copy, dismiss]) button.setAttribute("aria-label", `${button.textContent}: secret of ${target}`);
    const words = `Keep this secret of ${target}, by which the receiver checks signatures. It is not shown again.`;
    const card = element("div", { className: "card" }, element("p", { className: "note", textContent: words }), text);
    card.append(element("div", { className: "buttons" }, copy, dismiss));
    copy.addEventListener("click", () => void copyFrom(text).then((done) => this.say(done ? "Copied." : "Copy what is selected.")));
    dismiss.addEventListener("click", () => {
      card.remove();
      this.target.focus();
    });
    this.secrets.append(card);
  }

  private async refresh(): Promise<void> {
    const { items } = await this.api.channels();
    showRows(this.list, items, JSON.stringify, (channel) => this.row(channel));
    byId("channel-empty").hidden = items.length > 0;
    await this.showDeliveries();
  }

  /** Reads the deliveries again and shows them, if somebody looks. While one waits it goes on, less and less often. */
  async showDeliveries(): Promise<void> {
    clearTimeout(this.timer);
    if (!byId<HTMLDetailsElement>("deliveries").open) return;
    const turn = ++this.turn;
    const { items } = await this.api.deliveries();
    if (turn !== this.turn) return;
    clearTimeout(this.timer);
    if (items.some((one) => one.state === "waiting")) {
      // When the platform cannot be reached, the tasks say so.
      this.timer = setTimeout(() => void this.showDeliveries().catch(() => undefined), this.pause);
      this.pause = Math.min(2 * this.pause, LAST_PAUSE_MS);
    } else {
      this.pause = FIRST_PAUSE_MS;
    }
    byId("delivery-empty").hidden = items.length > 0;
    this.deliveries.replaceChildren(
      ...items.map((one) => {
        const words = [`${one.channel_name}: ${STATES[one.state]}`, one.last_error, one.next_attempt_at && `next try ${timeText(one.next_attempt_at)}`];
        return element("li", {}, words.filter(Boolean).join(", "), element("div", { className: "note", textContent: timeText(one.created_at) }));
      }),
    );
  }

  private row(channel: Channel): HTMLLIElement {
    const shown = channel.kind === "web_push" ? channel.name : `${NAMES[channel.kind]}: ${channel.target}`;
    const row = element("li", { className: "card" }, element("strong", { textContent: shown }));
    if (!channel.confirmed) row.append(this.codeForm(channel));
    else if (!channel.enabled) row.append(element("div", { className: "note", textContent: `Off${channel.disabled_reason ? `: ${channel.disabled_reason}` : ""}` }));
    const button = (text: string, work: () => Promise<void>) => {
      const made = element("button", { type: "button", textContent: text });
      made.setAttribute("aria-label", `${text}: ${shown}`);
      made.addEventListener("click", () => void this.act(channel, work, made));
      return made;
    };
    const buttons = element("div", { className: "buttons" });
    if (channel.confirmed && channel.enabled) buttons.append(button("Test", () => this.test(channel)));
    if (channel.confirmed) {
      const flip = channel.enabled ? "Switch off" : "Switch on";
      buttons.append(button(flip, async () => this.then(this.api.changeChannel(channel.id, { enabled: !channel.enabled }))));
    }
    buttons.append(button("Remove", async () => this.then(this.remove(channel))));
    row.append(buttons);
    return row;
  }

  private codeForm(channel: Channel): HTMLFormElement {
    const input = element("input", { type: "text", required: true, inputMode: "numeric", autocomplete: "one-time-code", maxLength: 8 });
    input.setAttribute("aria-label", `Code that was sent to ${channel.target}`);
    const button = element("button", { type: "submit", textContent: "Confirm" });
    const form = element("form", { className: "buttons" }, input, button);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.act(channel, async () => this.then(this.api.confirmChannel(channel.id, input.value)), button);
    });
    return form;
  }

  private async act(channel: Channel, work: () => Promise<void>, control: HTMLButtonElement): Promise<void> {
    await this.report.watch(work, control);
    const row = `[data-id="${channel.id}"] button`;
    const near = () => this.list.querySelector<HTMLElement>(row) ?? this.list.querySelector("button") ?? this.target;
    giveFocusBack(control.isConnected ? control : near());
  }

  private async test(channel: Channel): Promise<void> {
    await this.api.testChannel(channel.id);
    byId<HTMLDetailsElement>("deliveries").open = true;
    this.say("A test is on its way. What becomes of it is listed below.");
    this.pause = FIRST_PAUSE_MS;
    await this.showDeliveries();
  }

  private async then(work: Promise<unknown>): Promise<void> {
    await work;
    this.say("");
    await this.refresh();
  }

  private say(text: string): void {
    this.said.textContent = text;
  }
}

/** Puts a text where it can be pasted from; where a browser does not allow that, the text is selected. */
async function copyFrom(text: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(text);
    return false;
  }
}
