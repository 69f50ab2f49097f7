// Follows the tasks that this page lists. Without it the page is complete and reloads itself.
const PAUSE = 250; // milliseconds between two questions about one task
const QUIET = 2000; // between two announcements of progress, so that a screen reader can finish a sentence
const ENDED = ["SUCCESS", "FAILURE", "REVOKED"];
const WORDS = {PENDING: "waiting", RECEIVED: "waiting", STARTED: "started", RETRY: "waiting to try again"};

let spoken = 0;

function say(text, urgent) {
  if (!urgent && Date.now() - spoken < QUIET) return;
  spoken = Date.now();
  document.getElementById("said").textContent = text;
}

function show(item, task) {
  const {state, progress} = task;
  const words = progress ? `${progress.step}: ${progress.percent} %` : WORDS[state];
  const shown = item.querySelector(".words");
  if (!words || shown.textContent === words) return;
  shown.textContent = words;
  if (progress) item.querySelector("progress").value = progress.percent;
  say(`Your picture: ${words}`, !progress);
}

// The page as the server renders it now has the picture, or the reason why there is none.
async function finish(item) {
  const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
  const fresh = page.getElementById(item.id);
  if (fresh.dataset.task) return false; // its row is not committed yet
  const focused = item.contains(document.activeElement);
  item.replaceWith(fresh);
  if (focused) fresh.querySelector("a").focus();
  say(`Your picture: ${fresh.querySelector(".words").textContent}. ${fresh.querySelector(".error")?.textContent ?? ""}`, true);
  return true;
}

async function look(item) {
  const answer = await fetch(item.dataset.task);
  if (!answer.ok) return answer.status === 404;
  const task = await answer.json();
  if (ENDED.includes(task.state)) return finish(item);
  show(item, task);
  return false;
}

async function follow(item) {
  let done = false;
  while (!done) {
    done = await look(item).catch(() => false); // the API may be away for a moment
    if (!done) await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

document.querySelectorAll("[data-task]").forEach(follow);
