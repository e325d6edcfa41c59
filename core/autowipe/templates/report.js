"use strict";
document.documentElement.classList.add("js");

for (const stage of document.querySelectorAll(".stage")) {
  const slider = stage.querySelector("input");
  const draw = () => stage.style.setProperty("--cut", slider.value + "%");
  const follow = (event) => {
    const box = stage.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    draw();
  };
  slider.addEventListener("input", draw);
  slider.addEventListener("keydown", () => stage.classList.remove("pointed"));
  slider.addEventListener("blur", () => stage.classList.remove("pointed"));
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("pointed");
    slider.focus({ preventScroll: true });
    follow(event);
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) follow(event);
  });
  draw();
}

for (const still of document.querySelectorAll(".still")) {
  const views = [...still.querySelectorAll(".view")];
  const buttons = [...still.querySelectorAll("[data-view]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const view of views) view.hidden = view !== views[button.dataset.view];
      for (const other of buttons) other.setAttribute("aria-pressed", other === button);
    });
  }
  const how = still.querySelector("[data-how]");
  if (how) {
    how.addEventListener("click", () => {
      const on = still.classList.toggle("how");
      how.setAttribute("aria-pressed", on);
      still.querySelector(".tag.after").textContent = on ? "Recovery" : "After";
    });
  }
}

const stills = [...document.querySelectorAll(".still")];
const choosers = [...document.querySelectorAll("[data-frame]")];
const choose = (frame) => {
  for (const still of stills) still.hidden = still.id !== "frame-" + frame;
  for (const chooser of choosers) {
    const on = chooser.dataset.frame === frame;
    if (on) chooser.setAttribute("aria-current", "true");
    else chooser.removeAttribute("aria-current");
    const strip = chooser.closest(".film");
    if (on && strip) {
      strip.scrollLeft = chooser.offsetLeft - (strip.clientWidth - chooser.offsetWidth) / 2;
    }
  }
};
for (const chooser of choosers) {
  chooser.addEventListener("click", () => {
    choose(chooser.dataset.frame);
    if (!chooser.closest(".film")) {
      document.getElementById("stills").scrollIntoView({ block: "nearest" });
    }
  });
}
const film = document.querySelector(".film");
if (film) choose(film.dataset.shown);
