// What the `openai` package says goes over the wire: the schemas of the raw tests are made of these.
import type OpenAI from "openai";

export type WireChatCompletion = OpenAI.Chat.Completions.ChatCompletion;
export type WireChatCompletionChunk = OpenAI.Chat.Completions.ChatCompletionChunk;
export type WireCompletion = OpenAI.Completions.Completion;
export type WireModel = OpenAI.Models.Model;
export type WireErrorObject = OpenAI.ErrorObject;
export type WireResponse = OpenAI.Responses.Response;
export type WireResponseStreamEvent = OpenAI.Responses.ResponseStreamEvent;
