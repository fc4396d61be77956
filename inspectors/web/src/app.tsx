/** The frame of every page: a bar, the page, the dialogs that belong to all of them. */
import { signal, useSignal } from "@preact/signals";
import { asApiError } from "./api/client";
import { ComparePage } from "./pages/compare";
import { RunPage } from "./pages/run";
import { RunsPage } from "./pages/runs";
import { checkSession, mustSignIn, session, sessionError, signOut } from "./stores/session";
import { barContent } from "./ui/bar-content";
import { Notice } from "./ui/bits";
import { HelpDialog } from "./ui/help";
import { Icon } from "./ui/icons";
import { useShortcuts } from "./ui/keyboard";
import { go, href, route } from "./ui/router";
import { SignIn } from "./ui/sign-in";
import { theme, toggleTheme } from "./ui/theme";

const helpOpen = signal(false);

function SignOut({ user }: { user: string }) {
  const problem = useSignal<string | null>(null);
  const leave = async () => {
    problem.value = null;
    try {
      await signOut();
    } catch (error) {
      problem.value = `Still signed in. ${asApiError(error).message}`;
    }
  };
  return (
    <>
      {problem.value && (
        <span class="small state-bad" role="alert">
          {problem.value}
        </span>
      )}
      <button type="button" class="button quiet" onClick={leave} title={`Signed in as ${user}`}>
        Sign out
      </button>
    </>
  );
}

function Bar() {
  return (
    <header class="bar">
      <a class="mark" href={href("")}>
        diffrun
      </a>
      <div class="bar-content">{barContent.value}</div>
      {session.value?.user && session.value.authRequired && <SignOut user={session.value.user} />}
      <button
        type="button"
        class="button quiet icon"
        onClick={toggleTheme}
        aria-label={theme.value === "dark" ? "Light colours" : "Dark colours"}
        title={theme.value === "dark" ? "Light colours" : "Dark colours"}
      >
        <Icon name={theme.value === "dark" ? "sun" : "moon"} />
      </button>
      <button
        type="button"
        class="button quiet icon"
        onClick={() => {
          helpOpen.value = true;
        }}
        aria-label="Keyboard shortcuts"
        title="Keyboard shortcuts (?)"
      >
        <Icon name="help" />
      </button>
    </header>
  );
}

function Page() {
  if (sessionError.value) {
    return (
      <Notice title="The gateway does not answer" icon="warn" tone="bad">
        <p>{sessionError.value.message} The page tries again by itself.</p>
        <p>
          <button type="button" class="button" onClick={() => void checkSession()}>
            Try again
          </button>
        </p>
      </Notice>
    );
  }
  if (!session.value) return null;
  if (mustSignIn.value) return <SignIn />;
  const where = route.value;
  switch (where.page) {
    case "runs":
      return <RunsPage />;
    case "run":
      return <RunPage key={`${where.namespace}/${where.name}`} namespace={where.namespace} name={where.name} />;
    case "compare":
      return <ComparePage key={where.runs.join()} runs={where.runs} />;
    case "missing":
      return (
        <Notice title="There is no such page" icon="warn">
          <p>
            The address names neither the runs, nor a run, nor a comparison. <a href={href("")}>All runs</a>
          </p>
        </Notice>
      );
  }
}

/** By hand: under the page's <base> the fragment's address is that of the list of runs. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

export function App() {
  useShortcuts([
    {
      keys: "?",
      does: "Show the shortcuts",
      run: () => {
        helpOpen.value = true;
      },
    },
    { keys: "g r", does: "Go to the runs", run: () => go("") },
  ]);
  return (
    <>
      {/* biome-ignore lint/a11y/useValidAnchor: it does lead somewhere, within the page */}
      <a class="skip" href="#main" onClick={skip}>
        Skip to the content
      </a>
      <Bar />
      <main id="main" tabIndex={-1}>
        <Page />
      </main>
      <HelpDialog open={helpOpen} />
    </>
  );
}
