// Follows a controller, as examples/follow.rs does, in a page of a host that its `hosts` names.
const controller = new URLSearchParams(location.search).get("controller") ?? "ws://127.0.0.1:8433";
let since = 0;
function follow() {
  const socket = new WebSocket(`${controller}/events?since=${since}&logs=false`);
  socket.onmessage = (message) => {
    const event = JSON.parse(message.data);
    since = event.id ?? since;
    if (!["deploy_ok", "deploy_failed", "promote_failed"].includes(event.kind)) return;
    const line = document.getElementById("said").appendChild(document.createElement("li"));
    line.textContent = `${event.kind} ${event.version} ${event.node ?? event.tier}`;
  };
  socket.onclose = () => setTimeout(follow, 1000);
}
follow();
