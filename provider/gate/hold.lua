-- A request for an instance that is about to be there is held, whatever its body: here, so that it costs the provider nothing.
-- The agent's maps say when it may go on. Who it is and that it may enter the provider has said; it is asked again now and
-- then, since the instance may fail, and since a page is better for a browser than a long wait.
freehold = freehold or {} -- shared with the files that are loaded after this one
local maps = os.getenv("GATE_MAPS")
local hosts, upstreams = Map.new(maps .. "/hosts.map", Map._str), Map.new(maps .. "/upstreams.map", Map._str)
local waking = Map.new(maps .. "/waking.map", Map._str)
local limit, limit_of_one = 2000, 500 -- held requests, of all instances and of one; these counts are a thread's own
local few, eager_ms = 50, 5 -- with more than so many on hold, looking so often would cost the others too much
local quick_ms, slow_ms, quick_for_ms = 20, 100, 4000
local holding, holding_of = 0, {}
local tried = {} -- address → true while somebody tries it, else when it was last found to listen

local function now_ms()
  local now = core.now()
  return now.sec * 1000 + now.usec // 1000
end

-- Whether anything accepts connections there. One tries for all that wait for the same.
local function listens(address)
  local known = tried[address]
  if known == true then return false end
  if known and now_ms() - known < 200 then return true end
  tried[address] = true
  local host, port = address:match("^(.*):(%d+)$")
  local ok, connected = pcall(function()
    local tcp = core.tcp()
    tcp:settimeout(1)
    local connected = tcp:connect(host, tonumber(port))
    tcp:close()
    return connected
  end)
  local yes = ok and connected == 1
  tried[address] = yes and now_ms() or nil
  return yes
end

-- Where a place is, while it can be reached: a primary micro's stands with its host (entry.py).
function freehold.upstream_of(txn)
  local place = txn:get_var("txn.place")
  local instance, up = (hosts:lookup(txn:get_var("txn.host")) or ""):match("^([^|]+)|[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|(.+)$")
  if up and instance .. "/" == place then return up end
  return upstreams:lookup(place)
end

local function arrived(txn, place)
  local up = freehold.upstream_of(txn)
  if up then return up end
  local candidate = waking:lookup(place)
  return candidate and listens(candidate) and candidate
end

local function pause_ms(held_ms)
  if held_ms >= quick_for_ms then return slow_ms end
  return holding <= few and eager_ms or quick_ms
end

local function wait(txn, answer, ask)
  local place, began = txn:get_var("txn.place"), now_ms()
  while answer and answer.headers["x-gate-hold"] do
    local again_at = now_ms() + tonumber(answer.headers["x-gate-hold"][0])
    repeat
      local up = arrived(txn, place)
      if up then
        answer.status, answer.headers["x-gate-upstream"] = 204, { [0] = up }
        return answer
      end
      core.msleep(pause_ms(now_ms() - began))
    until now_ms() >= again_at
    answer = ask(txn, now_ms() - began)
  end
  return answer
end

-- The answer to go by: a yes with an upstream, or what the client is told. ask(txn, held_ms): as in decide.lua.
function freehold.hold(txn, answer, ask)
  local instance = txn:get_var("txn.ins")
  local of_this = holding_of[instance] or 0
  if holding >= limit or of_this >= limit_of_one then return answer end
  holding, holding_of[instance] = holding + 1, of_this + 1
  local ok, found = pcall(wait, txn, answer, ask)
  holding = holding - 1
  of_this = holding_of[instance] - 1
  holding_of[instance] = of_this > 0 and of_this or nil
  if not ok then core.Alert("hold: " .. tostring(found)) end
  return ok and found or nil
end
