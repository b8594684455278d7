/** Failures in words, at one place of the page. */

import { ApiError } from "./api";
import { byId } from "./dom";

export class Report {
  private readonly box = byId("problem");
  private readonly text = byId("problem-text");

  constructor() {
    byId("problem-close").addEventListener("click", () => this.clear());
  }

  /** Does the work with its control switched off meanwhile. A failure is shown; the answer is whether it worked. */
  async watch(work: () => Promise<void>, control?: HTMLInputElement | HTMLButtonElement): Promise<boolean> {
    if (control) control.disabled = true;
    try {
      await work();
      // What only reads says nothing about the failure of a change before it.
      if (control) this.clear();
      return true;
    } catch (error) {
      this.show(error);
      return false;
    } finally {
      if (control) control.disabled = false;
    }
  }

  clear(): void {
    this.box.hidden = true;
  }

  private show(error: unknown): void {
    this.text.textContent = wordsOf(error);
    this.box.hidden = false;
  }
}

/** What to tell a person about a failure. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  console.error(error);
  return "Something in this page went wrong. Load it again.";
}
