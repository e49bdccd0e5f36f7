// The tooltip, which the time line and the flame graph share.

function showTooltip(children, x, y) {
  const tooltip = byId("tooltip");
  tooltip.replaceChildren(...children);
  tooltip.hidden = false;
  const { width, height } = tooltip.getBoundingClientRect();
  const left = x + 14 + width > innerWidth ? Math.max(4, x - width - 14) : x + 14;
  const top = y + 18 + height > innerHeight ? Math.max(4, y - height - 12) : y + 18;
  tooltip.style.left = `${left}px`;
  tooltip.style.top = `${top}px`;
}

function hideTooltip() {
  byId("tooltip").hidden = true;
}
