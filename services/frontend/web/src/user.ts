/** Who the person says they are. Sign-in is off, so it is a name and nothing more. */

import { keep, recall } from "./storage";

const KEY = "todo.user";

/** The name given earlier in this browser. */
export function remembered(): string | null {
  return recall(KEY);
}

/** Keeps the name; `null` forgets it. */
export function remember(user: string | null): void {
  keep(KEY, user);
}

/** What is wrong with a name, in words, or nothing. The services have the same rules. */
export function mistakeIn(user: string): string | null {
  if (user === "") return "Write a name, so that your tasks can be told from those of others.";
  if ([...user].length > 128) return "Write at most 128 characters.";
  if (user.startsWith("$")) return "Names that begin with $ are reserved: choose another one.";
  return null;
}
