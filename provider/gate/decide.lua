-- What the proxy cannot decide alone it asks the provider; the request is held meanwhile.
-- A clear yes fills txn.verdict, txn.up and, for a signed-in visitor, who it is. Any other answer of the provider goes to
-- the client as it is. No answer, or one that makes no sense, leaves txn.verdict unset: the rules then refuse.
local url, secret = os.getenv("GATE_DECIDE_URL"), os.getenv("GATE_SECRET")
local limit = tonumber(os.getenv("GATE_ASKS_AT_ONCE"))
local asking = 0 -- this file is loaded once per thread, so the count is the thread's own
local hold = freehold.hold -- hold.lua

-- What of the provider's answer may reach the client; its inner headers (x-gate-…) never do.
local passed = { "location", "set-cookie", "content-type", "cache-control", "referrer-policy", "retry-after",
  "content-security-policy", "x-content-type-options", "clear-site-data" }
-- What of the visitor's own headers the provider hears.
local heard = { "accept", "authorization", "cookie", "origin", "sec-fetch-mode", "sec-fetch-dest" }

-- Only what there is to say: every header costs both sides, and what is missing means no (asking.py).
local function question(txn, held_ms)
  local headers = {
    ["x-gate-secret"] = { secret },
    ["x-gate-scheme"] = { txn:get_var("txn.scheme") },
    ["x-gate-authority"] = { txn:get_var("txn.authority") },
    ["x-gate-path"] = { txn.sf:path() },
    ["x-gate-method"] = { txn.sf:method() },
  }
  local function say(name, value)
    if value and value ~= "" then headers[name] = { value } end
  end
  say("x-gate-query", txn.sf:query())
  say("x-gate-own", txn:get_var("txn.own") and "1")
  say("x-gate-held", held_ms > 0 and tostring(held_ms))
  -- Where to is known here, by maps that are up to date: all that is asked is whether.
  say("x-gate-awake", txn:get_var("txn.sure") and "1")
  say("x-gate-upgrade", txn.sf:req_fhdr("upgrade"))
  if txn:get_var("txn.program") then
    -- Keys themselves stay here: the provider knows them by their SHA-256.
    say("x-gate-program", "1")
    say("x-gate-app-key", txn:get_var("txn.appkeysha"))
    say("x-gate-own-key", txn:get_var("txn.ownkeysha"))
  end
  for _, name in ipairs(heard) do say(name, txn.sf:req_fhdr(name)) end
  return headers
end

local function pass_on(txn, answer)
  local reply = txn:reply { status = answer.status, body = answer.body or "" }
  for _, name in ipairs(passed) do
    local values = answer.headers[name]
    if values then
      for _, value in pairs(values) do reply:add_header(name, value) end
    end
  end
  reply:add_header("content-length", tostring(#(answer.body or "")))
  txn:done(reply)
end

-- nil: no answer, or none of the provider's.
local function ask(txn, held_ms)
  if asking >= limit then return nil end
  asking = asking + 1
  local ok, answer = pcall(function()
    -- It tries again three times by itself where no answer comes: 16 s at most.
    return core.httpclient():get { url = url, timeout = 4000, headers = question(txn, held_ms) }
  end)
  asking = asking - 1
  if not ok then core.Alert("decide: " .. tostring(answer)) end
  if not ok or answer == nil or type(answer.status) ~= "number" then return nil end
  return answer.headers["x-gate-decided"] and answer -- else the proxy's own error page, or some other server's
end

local function decide(txn)
  local answer = ask(txn, 0)
  if answer and answer.headers["x-gate-hold"] then answer = hold(txn, answer, ask) end
  if not answer then return end
  local first = function(name) local values = answer.headers[name]; return values and values[0] end
  if answer.status == 204 then
    if first("x-gate-as-known") and txn:get_var("txn.sure") then
      for _, var in ipairs { "sub", "email", "role", "ownkey" } do txn:unset_var("txn." .. var) end
      txn:set_var("txn.verdict", 200)
      return
    end
    local up = first("x-gate-upstream")
    if up == nil then return end
    txn:set_var("txn.up", up)
    for var, name in pairs { mount = "x-gate-mount", sub = "x-gate-user", email = "x-gate-email", role = "x-gate-role",
      ownkey = "x-gate-own-key" } do
      local value = first(name)
      -- What the proxy thought before does not count any more: it may have looked into stale maps.
      if value then txn:set_var("txn." .. var, value) else txn:unset_var("txn." .. var) end
    end
    txn:set_var("txn.verdict", 200)
  elseif answer.status >= 300 and answer.status <= 503 and answer.status ~= 500 then
    pass_on(txn, answer)
  end
end

core.register_action("decide", { "http-req" }, decide, 0)
