// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { get, send } from "../api/client";
import { RunFeed } from "../api/feed";
import { mustSignIn, session, signIn } from "./session";

/** A stream that says what a test lets it say. */
class Stream extends EventTarget {
  static last: Stream;
  onerror = null;
  constructor() {
    super();
    Stream.last = this;
  }
  close(): void {}
  say(message: { type: string }): void {
    this.dispatchEvent(new MessageEvent(message.type, { data: JSON.stringify(message) }));
  }
}

const asked: string[] = [];
beforeEach(() => {
  asked.length = 0;
  session.value = { authRequired: true, user: "alice", version: "0" };
  vi.stubGlobal("EventSource", Stream);
  vi.stubGlobal("fetch", async (url: string, { method = "GET" }: RequestInit) => {
    asked.push(`${method} ${new URL(url).pathname.split("/").at(-1)}`);
    if (method === "GET" && url.endsWith("api/session")) return Response.json({ authRequired: true, version: "0" });
    return Response.json({ code: "Unauthenticated", message: "the session has ended" }, { status: 401 });
  });
});
afterEach(() => vi.unstubAllGlobals());

describe("a session that has ended", () => {
  it.each([
    ["a request", () => get("api/runs")],
    ["a change", () => send("POST", "api/runs/a/b/control", {})],
  ])("is noticed by %s that is refused, and one may sign in again", async (_, request) => {
    await expect(request()).rejects.toMatchObject({ status: 401 });
    await vi.waitFor(() => expect(mustSignIn.value).toBe(true));
  });
  it("is asked about once, however many requests are refused", async () => {
    await Promise.allSettled([get("api/series"), get("api/metrics"), get("api/artifacts")]);
    await vi.waitFor(() => expect(mustSignIn.value).toBe(true));
    expect(asked.filter((request) => request === "GET session")).toHaveLength(1);
  });
  it("is noticed by a stream that is ended for it", async () => {
    const feed = new RunFeed(["u"]);
    Stream.last.say({
      type: "denied",
      problem: { code: "Unauthenticated", message: "the session has ended" },
    } as never);
    expect(feed.connection.state.value.kind).toBe("denied");
    await vi.waitFor(() => expect(mustSignIn.value).toBe(true));
    feed.close();
  });
  it("is not what a missing right is", async () => {
    const feed = new RunFeed(["u"]);
    Stream.last.say({ type: "denied", problem: { code: "Forbidden", message: "alice may not" } } as never);
    await Promise.resolve();
    expect(asked).toEqual([]);
    feed.close();
  });
  it("is not what a wrong token is", async () => {
    await expect(signIn("bad")).rejects.toMatchObject({ status: 401 });
    expect(asked).toEqual(["POST session"]);
  });
});
