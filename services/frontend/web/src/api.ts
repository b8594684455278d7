/** The platform's HTTP API, as far as this page uses it. */

export type Status = "open" | "completed";

export interface Task {
  id: string;
  title: string;
  status: Status;
  due_at?: string | null;
  due_date?: string | null;
  recurrence?: { rrule?: string | null; after_completion_days?: number | null } | null;
  completed_at?: string | null;
}

export interface NewTask {
  title: string;
  due_at?: string;
  time_zone: string;
  recurrence?: { rrule: string };
}

export interface Notification {
  id: string;
  title: string;
  message: string;
  created_at: string;
  read_at?: string | null;
}

export type Kind = "web_push" | "webhook" | "email" | "ntfy";

/** Kinds of channels that the platform offers, each with what is needed to add one. */
export interface Kinds {
  web_push?: { public_key: string };
  webhook?: object;
  email?: object;
  ntfy?: { base_url: string };
}

export interface Channel {
  id: string;
  kind: Kind;
  name: string;
  target: string;
  enabled: boolean;
  disabled_reason?: string | null;
  confirmed: boolean;
  /** Only in the answer to the request that made it. */
  secret?: string;
  /** In the answer to that request when it came again: the secret is not told twice. */
  secret_was_shown?: boolean;
}

export type NewChannel =
  | { kind: "web_push"; name: string; endpoint: string; keys: { p256dh: string; auth: string } }
  | { kind: "webhook"; url: string }
  | { kind: "email"; address: string }
  | { kind: "ntfy"; topic: string };

export interface Delivery {
  id: string;
  channel_name: string;
  state: "waiting" | "sent" | "failed" | "cancelled";
  last_error?: string | null;
  next_attempt_at?: string | null;
  created_at: string;
}

export interface Answer {
  conversation_id: string;
  response: string;
  tool_calls: unknown[];
}

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** RFC 9457; `errors` names the fields that are wrong. */
interface Problem {
  title?: string;
  detail?: string;
  errors?: { field?: string; message?: string; detail?: string }[];
}

/** What went wrong, in words that can be shown. */
export class ApiError extends Error {}

interface Options {
  query?: Record<string, string | undefined>;
  body?: unknown;
  timeout?: number;
  /** Any text that no other request has: with it this one is done once, however often it is sent. */
  key?: string;
}

const TIMEOUT_MS = 30_000;
/** Whoever writes the same later than this wants it a second time. */
const AGAIN_MS = 300_000;
/** A language model thinks for longer. */
const CHAT_TIMEOUT_MS = 190_000;

export class Api {
  /** Keys of what was asked for and not answered with a success: whoever asks for the same again asks once. */
  private readonly unanswered = new Map<string, { key: string; since: number }>();

  constructor(private readonly user: string) {}

  tasks(status: Status, cursor?: string): Promise<Page<Task>> {
    // What was completed last is what somebody looks for.
    const sort = status === "completed" ? "-updated_at" : "due";
    return this.call("GET", "/api/tasks", { query: { status, sort, cursor } });
  }

  add(task: NewTask): Promise<Task> {
    return this.once("/api/tasks", { body: { ...task, user_id: this.user } });
  }

  complete(id: string): Promise<unknown> {
    return this.call("POST", `/api/tasks/${encodeURIComponent(id)}/complete`);
  }

  reopen(id: string): Promise<unknown> {
    return this.call("POST", `/api/tasks/${encodeURIComponent(id)}/reopen`);
  }

  remove(id: string): Promise<unknown> {
    return this.call("DELETE", `/api/tasks/${encodeURIComponent(id)}`);
  }

  notifications(cursor?: string): Promise<Page<Notification>> {
    return this.call("GET", "/api/notifications", { query: { cursor } });
  }

  markRead(id: string): Promise<unknown> {
    return this.call("POST", `/api/notifications/${encodeURIComponent(id)}/read`);
  }

  async unread(): Promise<number> {
    return (await this.call<{ count: number }>("GET", "/api/notifications/unread")).count;
  }

  /** `newest`: the newest that the reader has seen. */
  markAllRead(newest: string): Promise<unknown> {
    return this.call("POST", "/api/notifications/read-all", { body: { newest } });
  }

  channelKinds(): Promise<Kinds> {
    return this.call("GET", "/api/notifications/channel-kinds");
  }

  channels(): Promise<Page<Channel>> {
    return this.call("GET", "/api/notifications/channels");
  }

  addChannel(channel: NewChannel): Promise<Channel> {
    return this.once("/api/notifications/channels", { body: { ...channel, user_id: this.user } });
  }

  changeChannel(id: string, changes: { enabled: boolean }): Promise<Channel> {
    return this.call("PATCH", `/api/notifications/channels/${encodeURIComponent(id)}`, { body: changes });
  }

  removeChannel(id: string): Promise<unknown> {
    return this.call("DELETE", `/api/notifications/channels/${encodeURIComponent(id)}`);
  }

  confirmChannel(id: string, code: string): Promise<Channel> {
    return this.call("POST", `/api/notifications/channels/${encodeURIComponent(id)}/confirm`, { body: { code } });
  }

  testChannel(id: string): Promise<Delivery> {
    return this.once(`/api/notifications/channels/${encodeURIComponent(id)}/test`);
  }

  deliveries(): Promise<Page<Delivery>> {
    return this.call("GET", "/api/notifications/deliveries", { query: { limit: "20" } });
  }

  say(message: string, conversation: string | null): Promise<Answer> {
    // "Tomorrow at 9" is meant in the zone of whoever writes it.
    const body = { user_id: this.user, message, time_zone: zone(), ...(conversation === null ? {} : { conversation_id: conversation }) };
    return this.once("/api/chat", { body, timeout: CHAT_TIMEOUT_MS });
  }

  /** Where changes are told as they happen. */
  eventsUrl(): string {
    return this.url("/api/events", {});
  }

  private url(path: string, query: Record<string, string | undefined>): string {
    const parameters = new URLSearchParams({ user_id: this.user });
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) parameters.set(name, value);
    }
    return `${path}?${parameters}`;
  }

  /** A POST that makes something. Tried again after no answer or a failure, it is done once. */
  private async once<T>(path: string, options: Options = {}): Promise<T> {
    const asked = JSON.stringify([path, options.body]);
    const before = this.unanswered.get(asked);
    const again = before !== undefined && Date.now() - before.since < AGAIN_MS;
    const key = again ? before.key : randomKey();
    if (!again) this.unanswered.set(asked, { key, since: Date.now() });
    const answer = await this.call<T>("POST", path, { ...options, key });
    this.unanswered.delete(asked);
    return answer;
  }

  private async call<T>(method: string, path: string, { query = {}, body, timeout = TIMEOUT_MS, key }: Options = {}): Promise<T> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.url(path, query), {
        method,
        headers: {
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(key === undefined ? {} : { "idempotency-key": key }),
        },
        signal: AbortSignal.timeout(timeout),
        cache: "no-store",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      const late = error instanceof DOMException && error.name === "TimeoutError";
      throw new ApiError(
        late ? "The platform did not answer in time. Try again." : "The platform cannot be reached. Check the network and try again.",
      );
    }
    const parsed = parse(text);
    if (!response.ok) throw new ApiError(words(response.status, parsed));
    return parsed as T;
  }
}

/** IANA name of the reader's time zone. */
export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** `crypto.randomUUID` is there only over HTTPS and on the own machine. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function words(status: number, body: unknown): string {
  const problem: Problem = typeof body === "object" && body !== null ? body : {};
  const fields = Array.isArray(problem.errors)
    ? problem.errors.map((error) => [error.field, error.message ?? error.detail].filter(Boolean).join(": ")).filter(Boolean)
    : [];
  if (problem.detail) return [problem.detail, ...fields.filter((field) => !problem.detail?.includes(field))].join("; ");
  if (fields.length > 0) return fields.join("; ");
  return problem.title ?? `The platform refused this (HTTP ${status}).`;
}
