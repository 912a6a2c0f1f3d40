// Every public model id with what its platform has to be told for it.
#pragma once

namespace switchyard {

struct ModelRow {
  const char* id;
  // A JSON object: every member of it, at any depth, is in what the simulated platform recorded of the request
  // ("completions"). Arrays are compared whole.
  const char* upstream;
  bool listed = true;  // in /v1/models
};

}  // namespace switchyard
