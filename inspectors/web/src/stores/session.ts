/** Who looks. Where the gateway asks for a token, it is exchanged once for a cookie and kept nowhere here. */
import { computed, signal } from "@preact/signals";
import { type ApiError, asApiError, get, send } from "../api/client";
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

/** Whether the session still holds, asked when a stream is refused; a gateway that is away is the stream's business. */
export async function probeSession(): Promise<void> {
  try {
    session.value = await get<Session>("api/session");
  } catch {
    // not to be had either: the stream says so, and tries again
  }
}

/** Exchanges a token; throws ApiError where Kubernetes does not know it. */
export async function signIn(bearer: string): Promise<void> {
  session.value = await send<Session>("POST", "api/session", undefined, bearer);
}

export async function signOut(): Promise<void> {
  await send<void>("DELETE", "api/session");
  await checkSession();
}
