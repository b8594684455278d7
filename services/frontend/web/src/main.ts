/** Asks for a name if none is known, then shows that person's tasks. */

import { Api } from "./api";
import { Channels } from "./channels";
import { Chat } from "./chat";
import { byId } from "./dom";
import { Live } from "./live";
import { Notifications } from "./notifications";
import { OwnPush } from "./push";
import { Report } from "./report";
import { Tasks } from "./tasks";
import { mistakeIn, remember, remembered } from "./user";

function welcome(): void {
  const name = byId<HTMLInputElement>("name");
  const error = byId("name-error");
  byId("welcome").hidden = false;
  name.focus();
  byId("welcome-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const user = name.value.trim();
    const mistake = mistakeIn(user);
    error.hidden = mistake === null;
    error.textContent = mistake;
    name.setAttribute("aria-invalid", String(mistake !== null));
    if (mistake !== null) return;
    remember(user);
    byId("welcome").hidden = true;
    start(user);
    byId("new-title").focus();
  });
}

function start(user: string): void {
  byId("user").textContent = user;
  byId("app").hidden = false;
  byId("change-user").addEventListener("click", () => {
    remember(null);
    // Everything of the other person goes, half-typed words included.
    location.reload();
  });

  const api = new Api(user);
  const report = new Report();
  const tasks = new Tasks(api, report);
  const notifications = new Notifications(api, report);
  const channels = new Channels(api, report, new OwnPush(user));
  const live = new Live(api.eventsUrl(), async () => {
    const results = await Promise.allSettled([tasks.refresh(), notifications.refresh(), channels.showDeliveries()]);
    // Tasks decide whether there is a connection; notifications come from another service.
    if (results[0].status === "rejected") throw results[0].reason;
  });
  new Chat(api, () => live.soon());
}

const user = remembered();
if (user === null || mistakeIn(user) !== null) welcome();
else start(user);
