-- A request whose key is known, but whose data server is starting or has not heard of that key yet, is held for a while.
-- txn.up is filled when it may go on; the rules refuse where it is not.
local maps = os.getenv("GATE_MAPS")
local data, servers = Map.new(maps .. "/data.map", Map._str), Map.new(maps .. "/servers.map", Map._str)
local fresh = Map.new(maps .. "/fresh.map", Map._str)
local url, secret = os.getenv("GATE_ROUSE_URL"), os.getenv("GATE_SECRET")
local limit, longest_ms, pause_ms = 256, 20000, 50
local waiting = 0 -- this file is loaded once per thread, so the count is the thread's own

-- It may be asleep. Whoever is here has shown its key, or is its owner.
local function rouse(project)
  local ok, failure = pcall(function()
    core.httpclient():get { url = url, timeout = 5000,
      headers = { ["x-gate-secret"] = { secret }, ["x-gate-project"] = { project } } }
  end)
  if not ok then core.Alert("rouse: " .. tostring(failure)) end
end

-- While it is open: provider/gate/feed_data.py says what the maps hold.
local function server_of(project)
  local cloud = (data:lookup(project) or ""):match("^([^/]+)/")
  return cloud and servers:lookup(cloud)
end

local function await_data(txn)
  if waiting >= limit then return end
  local project, key = txn:get_var("txn.project"), txn:get_var("txn.fingerprint")
  waiting = waiting + 1
  if not server_of(project) then rouse(project) end
  for _ = 1, longest_ms // pause_ms do
    local up = server_of(project)
    if up and not (key and fresh:lookup(key)) then
      txn:set_var("txn.up", up)
      waiting = waiting - 1
      return
    end
    core.msleep(pause_ms)
  end
  waiting = waiting - 1
  txn:unset_var("txn.up")
end

core.register_action("await_data", { "http-req" }, await_data, 0)
