// What HTML alone cannot do: the player's position for a preview, and the dividers of comparisons.
(() => {
  window.pageMoment = () => document.querySelector("#source-player")?.currentTime || 0;
  document.addEventListener("input", (event) => {
    const divider = event.target.closest(".divider");
    if (divider) divider.parentElement.style.setProperty("--split", `${divider.value}%`);
  });
})();
