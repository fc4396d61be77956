/** Who looks. Where the gateway asks for a token, it is exchanged once for a cookie and kept nowhere here. */
import { computed, signal } from "@preact/signals";
import { type ApiError, asApiError, get, send, whenSignedOut } from "../api/client";
import type { Session } from "../types/api";

export const session = signal<Session | null>(null);
export const sessionError = signal<ApiError | null>(null);

export const mustSignIn = computed(() => session.value?.authRequired === true && !session.value.user);

const RETRY_MS = 3000;

/** Asks who looks; where the gateway does not answer, says so and asks again. */
export async function checkSession(): Promise<void> {
  try {
    session.value = await get<Session>("api/session");
    sessionError.value = null;
  } catch (error) {
    sessionError.value = asApiError(error);
    setTimeout(() => void checkSession(), RETRY_MS);
  }
}

let probing: Promise<void> | null = null;

/** Whether the session still holds, asked when a stream or a request is refused; once, however many of them are. */
export function probeSession(): Promise<void> {
  probing ??= probe().finally(() => {
    probing = null;
  });
  return probing;
}

async function probe(): Promise<void> {
  try {
    session.value = await get<Session>("api/session");
  } catch {
    // a gateway that is away is the stream's business: it says so, and tries again
  }
}

whenSignedOut(() => void probeSession());

/** Exchanges a token; throws ApiError where Kubernetes does not know it. */
export async function signIn(bearer: string): Promise<void> {
  session.value = await send<Session>("POST", "api/session", undefined, bearer);
}

export async function signOut(): Promise<void> {
  await send<void>("DELETE", "api/session");
  await checkSession();
}
