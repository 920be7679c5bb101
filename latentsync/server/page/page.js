// The position of the player, in seconds, for a preview of that moment.
window.pageMoment = () => document.querySelector("#source-player")?.currentTime || 0;
