// Runs inside of gradio's component, which gives element, props, trigger and watch. The component's
// value is what was changed: dotted key -> text.
const all = (selector, within = element) => [...within.querySelectorAll(selector)];
const [fields, groups] = [all("[name]"), all("details")];
const find = element.querySelector(".find");
const reset = element.querySelector(".reset");
const said = element.querySelector(".said");
const count = (many, one) => `${many} ${one}${many === 1 ? "" : "s"}`;
const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
const opened = new Map(); // group -> whether it was open before something was searched for
let sent = props.value || {};
let edited = false; // by hand, since the page was loaded

const mark = () => {
  for (const field of fields) field.closest(".setting").classList.toggle("changed", field.value !== "");
  for (const group of groups) {
    const changed = all(".changed", group).length;
    group.querySelector(".count").textContent = changed ? `${changed} changed` : "";
  }
  const changed = fields.filter((field) => field.value !== "").length;
  reset.disabled = !changed;
  if (!find.value) said.textContent = changed ? `${count(changed, "setting")} changed` : "";
};

const send = () => {
  const value = Object.fromEntries(fields.filter((field) => field.value).map((field) => [field.name, field.value]));
  mark();
  if (same(value, sent)) return;
  edited = true;
  sent = props.value = value;
  trigger("input", { value });
};

const fill = () => {
  sent = props.value || {};
  for (const field of fields) field.value = sent[field.name] ?? "";
  mark();
};

// Groups are opened where something is found, and are as before once nothing is searched for.
const search = () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of groups) {
    if (words.length && !opened.has(group)) opened.set(group, group.open);
    if (!words.length && opened.has(group)) group.open = opened.get(group);
    let here = 0;
    for (const row of all(".setting", group)) {
      row.hidden = !words.every((word) => row.dataset.words.includes(word));
      here += !row.hidden;
    }
    group.hidden = !here;
    if (words.length) group.open = here > 0;
    found += here;
  }
  if (!words.length) opened.clear();
  said.textContent = words.length ? (found ? `${count(found, "setting")} found` : "No setting is called that.") : "";
  if (!words.length) mark();
};

for (const field of fields) {
  field.addEventListener("change", send);
  field.addEventListener("input", mark);
}
find.addEventListener("input", search);
reset.addEventListener("click", () => {
  for (const field of fields) field.value = "";
  send();
  find.focus();
});
watch("value", () => {
  if (same(props.value || {}, sent)) return;
  if (edited) props.value = sent; // what came is older: gradio applies some of it late
  else fill();
});
fill();
