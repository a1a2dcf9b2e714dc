"use strict";
// Shows the values of a chart under the pointer: of each line that of the nearest step.
for (const chart of document.querySelectorAll(".chart")) {
  const svg = chart.querySelector("svg");
  const values = [...chart.querySelectorAll(".legend b")];
  const lines = [...svg.querySelectorAll(".line")].map((path) => ({
    places: path.getAttribute("d").split(/[ML]/).slice(1).map((pair) => pair.split(" ").map(Number)),
    steps: path.dataset.steps.split(" "),
    values: path.dataset.values.split(" "),
  }));
  if (values.length !== lines.length || !lines.some((line) => line.places.length)) continue;
  const cursor = svg.querySelector(".cursor");
  const step = chart.querySelector(".step");

  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const distance = (place) => Math.abs(place[0] - x);
    let nearest = null;
    lines.forEach((line, number) => {
      if (!line.places.length) return;
      let best = 0;
      line.places.forEach((place, k) => {
        if (distance(place) < distance(line.places[best])) best = k;
      });
      values[number].textContent = line.values[best];
      if (!nearest || distance(line.places[best]) < distance(nearest.place)) {
        nearest = { place: line.places[best], step: line.steps[best] };
      }
    });
    step.textContent = `step ${nearest.step}`;
    cursor.setAttribute("x1", nearest.place[0]);
    cursor.setAttribute("x2", nearest.place[0]);
    cursor.style.visibility = "visible";
  });
  svg.addEventListener("pointerleave", () => {
    values.forEach((value) => { value.textContent = value.dataset.last; });
    step.textContent = "";
    cursor.style.visibility = "hidden";
  });
}
