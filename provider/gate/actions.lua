-- A run whose app is being woken, or has just come up, is held until the gate knows where it is. txn.up is then filled.
local upstream_of = freehold.upstream_of -- hold.lua
local longest_ms, pause_ms = 20000, 50 -- the same in tenants/reconcile/delivery.py

local function await_upstream(txn)
  for _ = 1, longest_ms // pause_ms do
    local up = upstream_of(txn)
    if up then
      txn:set_var("txn.up", up)
      return
    end
    core.msleep(pause_ms)
  end
end

core.register_action("await_upstream", { "http-req" }, await_upstream, 0)
