/** The conversation. */

import type { Api } from "./api";
import { byId, element, giveFocusBack } from "./dom";
import { wordsOf } from "./report";

type By = "user" | "assistant" | "error";

export class Chat {
  private readonly log = byId("chat-log");
  private readonly input = byId<HTMLInputElement>("chat-input");
  private readonly send = byId<HTMLButtonElement>("chat-send");
  private conversation: string | null = null;

  /** `changed` is called when an answer may have changed tasks. */
  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {
    byId("chat-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.say();
    });
  }

  private async say(): Promise<void> {
    const message = this.input.value.trim();
    if (message === "" || this.send.disabled) return;
    this.send.disabled = true;
    this.input.value = "";
    this.show("user", message);
    this.log.ariaBusy = "true";
    try {
      const answer = await this.api.say(message, this.conversation);
      this.conversation = answer.conversation_id;
      this.show("assistant", answer.response);
      if (answer.tool_calls.length > 0) this.changed();
    } catch (error) {
      this.show("error", wordsOf(error));
      // Not to be typed again.
      if (this.input.value === "") this.input.value = message;
    } finally {
      this.log.ariaBusy = "false";
      this.send.disabled = false;
      giveFocusBack(this.input);
    }
  }

  private show(by: By, text: string): void {
    const said = element("p", { className: "said", textContent: text });
    said.dataset["by"] = by;
    const speaker = element("span", { className: "unseen", textContent: by === "user" ? "You: " : "Answer: " });
    said.prepend(speaker);
    this.log.append(said);
    this.log.scrollTop = this.log.scrollHeight;
  }
}
