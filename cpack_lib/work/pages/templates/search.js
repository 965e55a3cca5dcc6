// Finds the sections that hold every word typed; works from the texts inside this page, and asks nobody.
const sections = JSON.parse(document.getElementById("sections").textContent);
const line = document.getElementById("search"), list = document.getElementById("found");
document.getElementById("searching").hidden = false;

function piece(name, text, parent) {
  const made = parent.appendChild(document.createElement(name));
  made.textContent = text;
  return made;
}

function show(section, word) {
  const entry = list.appendChild(document.createElement("li"));
  piece("a", section.notebook + " › " + section.title, entry).href = section.page + "#" + section.anchor;
  const at = section.text.toLowerCase().indexOf(word);
  if (at < 0) return;
  const start = Math.max(0, at - 50), told = entry.appendChild(document.createElement("p"));
  told.append((start ? "… " : "") + section.text.slice(start, at));
  piece("mark", section.text.slice(at, at + word.length), told);
  told.append(section.text.slice(at + word.length, at + word.length + 70) + " …");
}

line.addEventListener("input", () => {
  const words = line.value.toLowerCase().split(/\s+/).filter(Boolean);
  list.replaceChildren();
  if (!words.length) return;
  const holds = section => words.every(word => (section.title + " " + section.text).toLowerCase().includes(word));
  const found = sections.filter(holds);
  for (const section of found.slice(0, 20)) show(section, words[0]);
  piece("li", found.length ? found.length + " sections" : "nothing found", list).className = "facts";
});
