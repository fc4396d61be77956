/** Requests to the gateway: relative to the page's base, errors as one type that says what to do. */
import type { Problem } from "../types/api";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly field: string | null = null,
    /** The line by which an administrator gives the right that is missing. */
    readonly grant: string | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }

  /** Whether the same request may succeed a moment later: nothing answered, or nothing that could. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

let signedOut = (): void => {};

/** Says what to do when a request is refused because nobody is signed in any more. */
export function whenSignedOut(act: () => void): void {
  signedOut = act;
}

export type Query = Readonly<Record<string, string | number | readonly string[] | null | undefined>>;

/** The address of an endpoint; lists become repeated parameters, null is left out. */
export function apiUrl(path: string, query: Query = {}): string {
  const url = new URL(path, document.baseURI);
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined) continue;
    if (Array.isArray(value)) for (const one of value) url.searchParams.append(key, one);
    else url.searchParams.append(key, String(value));
  }
  return url.toString();
}

async function problemOf(response: Response): Promise<ApiError> {
  const fallback = `The gateway answered ${response.status}. Reload; if it stays so, ask who runs it for its log.`;
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.message !== "string") return new ApiError(response.status, "Unexpected", fallback);
    return new ApiError(response.status, problem.code, problem.message, problem.field ?? null, problem.grant ?? null);
  } catch {
    return new ApiError(response.status, "Unexpected", fallback); // a proxy's page, not the gateway's
  }
}

async function request(url: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "Unreachable", "The gateway does not answer.");
  }
  if (response.status === 401 && !("Authorization" in (init.headers ?? {}))) signedOut();
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await request(apiUrl(path, query), signal ? { signal } : {});
  return (await response.json()) as T;
}

/** A request that changes something; the header keeps other sites from making it in the viewer's name. */
export async function send<T>(method: "POST" | "DELETE", path: string, body?: unknown, bearer?: string): Promise<T> {
  const headers: Record<string, string> = { "X-Diffrun": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (bearer !== undefined) headers.Authorization = `Bearer ${bearer}`;
  const init: RequestInit = { method, headers };
  if (body !== undefined) init.body = JSON.stringify(body);
  const response = await request(apiUrl(path), init);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

/** Which requests were ended by us, and are no errors. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Any failure as an ApiError. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  return new ApiError(0, "Unexpected", error instanceof Error ? error.message : String(error));
}
