-- Public routes of an instance that is awake, for visitors without any session of ours: decided here, so that a page that
-- many read asks nobody. Whatever is not plainly public goes on to the provider, which decides as
-- apps_catalog/public_routes.py does; txn.shut says that by all that is known here it is open to nobody in particular.
-- Patterns are as provider/gate/feed_access.py writes them; `?` stands for some that are not among them.
local routes = Map.new(os.getenv("GATE_MAPS") .. "/public.map", Map._str)

-- `*` stands for any characters, slashes and none included; all else for itself.
local function matches(pattern, path)
  local pieces = {}
  for piece in (pattern .. "*"):gmatch("([^*]*)%*") do pieces[#pieces + 1] = piece end
  if #pieces == 1 then return path == pattern end
  local first, last = pieces[1], pieces[#pieces]
  if #path < #first + #last or path:sub(1, #first) ~= first then return false end
  if last ~= "" and path:sub(-#last) ~= last then return false end
  local at, stop = #first + 1, #path - #last
  for number = 2, #pieces - 1 do -- the earliest place is always the best one for what follows
    local from, to = path:find(pieces[number], at, true)
    if pieces[number] ~= "" then
      if not from or to > stop then return false end
      at = to + 1
    end
  end
  return true
end

local function public(txn)
  local mount, path = txn:get_var("txn.mount"), txn.sf:path()
  local patterns
  if mount then
    patterns = routes:lookup(txn:get_var("txn.place"))
  else
    patterns = txn:get_var("txn.at"):match("^[^|]*|[^|]*|[^|]*|[^|]*|[^|]*|([^|]*)|") -- entry.py
  end
  -- One plain spelling only; anything encoded or odd is the provider's to judge.
  if not patterns or not path:match("^/[A-Za-z0-9._~!$&'()*+,=:@/-]*$") or path:find("//", 1, true) then return end
  if mount then path = "/" .. path:match("^/[^/]+/?(.*)$") end
  if (path .. "/"):find("/%.%.?/") or (path .. "/"):sub(1, 9):lower() == "/__space/" then return end
  for pattern in patterns:gmatch("[^%s^]+") do
    if matches(pattern, path) then
      txn:set_var("txn.public", true)
      return
    end
  end
  if not mount and not patterns:find("?", 1, true) then txn:set_var("txn.shut", true) end
end

core.register_action("public", { "http-req" }, public, 0)
