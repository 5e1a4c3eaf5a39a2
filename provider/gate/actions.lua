-- A run whose app is being woken, or has just come up, is held until the gate knows where it is. txn.up is then filled.
local maps = os.getenv("GATE_MAPS")
local upstreams = Map.new(maps .. "/upstreams.map", Map._str)
local longest_ms, pause_ms = 20000, 50 -- the same in tenants/reconcile/delivery.py

local function await_upstream(txn)
  local place = txn:get_var("txn.place")
  for _ = 1, longest_ms // pause_ms do
    local up = upstreams:lookup(place)
    if up then
      txn:set_var("txn.up", up)
      return
    end
    core.msleep(pause_ms)
  end
end

core.register_action("await_upstream", { "http-req" }, await_upstream, 0)
