// A list waits for what is new: https://html.spec.whatwg.org/multipage/server-sent-events.html
// Then a bar offers to show it, and nothing moves before it is pressed. A page that nobody looks at does not wait.
"use strict";
const place = document.querySelector("[data-live]");
if (place && window.EventSource) {
  const bar = place.querySelector(".news");
  let waiting = null;
  const stop = () => {
    if (waiting) waiting.close();
    waiting = null;
  };
  const wait = () => {
    stop();
    if (document.hidden || !bar.hidden) return;
    waiting = new EventSource(place.dataset.live);
    waiting.addEventListener("changed", () => {
      bar.hidden = false;
      stop();
    });
  };
  document.addEventListener("visibilitychange", wait);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", wait);
  wait();
}
