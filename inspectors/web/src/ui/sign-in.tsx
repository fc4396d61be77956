/** Exchanges a viewer's token for a session cookie. The token is sent once, in a header, and kept nowhere. */
import { useSignal } from "@preact/signals";
import { asApiError } from "../api/client";
import { signIn } from "../stores/session";
import { Command } from "./bits";

export function SignIn() {
  const token = useSignal("");
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    busy.value = true;
    try {
      await signIn(token.value.trim());
    } catch (problem) {
      error.value = asApiError(problem).message;
    } finally {
      busy.value = false;
      token.value = "";
    }
  };
  return (
    <form class="sign-in" onSubmit={submit}>
      <h1>Sign in</h1>
      <p class="muted">
        Your Kubernetes token says what you may see and decide. It is exchanged once for a session and not stored in the
        browser.
      </p>
      <label for="token">Token</label>
      <input
        id="token"
        class="field"
        type="password"
        autocomplete="off"
        required
        value={token.value}
        onInput={(event) => {
          token.value = event.currentTarget.value;
        }}
      />
      <p class="state-bad" role="alert">
        {error.value}
      </p>
      <button type="submit" class="button primary" disabled={busy.value || token.value.trim() === ""}>
        Sign in
      </button>
      <p class="muted small">A token for a service account:</p>
      <Command label="make a token" text="kubectl create token <service account>" />
    </form>
  );
}
