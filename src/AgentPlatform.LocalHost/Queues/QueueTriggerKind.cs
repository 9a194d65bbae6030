using System.Reflection;
using System.Text.Json;
using AgentPlatform.LocalHost.Invocation;
using Azure.Storage.Queues.Models;

namespace AgentPlatform.LocalHost.Queues;

internal sealed class QueueTriggerKind : ITriggerKind
{
    public string Name => "queueTrigger";

    public Type Attribute => typeof(QueueTriggerAttribute);

    /// <summary>The message as text, bytes, <see cref="BinaryData"/>, <see cref="QueueMessage"/>, or JSON read into any other class.</summary>
    public ParameterReader? BindTrigger(ParameterInfo parameter)
    {
        var type = parameter.ParameterType;
        return type switch
        {
            _ when type == typeof(QueueMessage) => static (data, _) => data.Source,
            _ when type == typeof(string) => static (data, _) => Body(data).ToString(),
            _ when type == typeof(byte[]) => static (data, _) => Body(data).ToArray(),
            _ when type == typeof(BinaryData) => static (data, _) => Body(data),
            { IsAbstract: true } or { IsInterface: true } => null,
            _ => (data, _) => FromJson(data, type),
        };
    }

    /// <summary>Message properties by their official names, in any case: <c>id</c>, <c>dequeueCount</c>, <c>popReceipt</c>, …</summary>
    public ParameterReader? BindOther(ParameterInfo parameter)
    {
        var (name, type) = (parameter.Name!, parameter.ParameterType);
        return Properties.Contains(name) && TextValue.CanRead(type)
            ? (data, _) => TextValue.Read(name, data.Named.GetValueOrDefault(name), type)
            : null;
    }

    public TriggerData ByHand(string input, DateTimeOffset now) =>
        Data(QueuesModelFactory.QueueMessage("by-hand", "", BinaryData.FromString(input), dequeueCount: 1, nextVisibleOn: null, insertedOn: now, expiresOn: null));

    internal static TriggerData Data(QueueMessage message) => new(message, new Dictionary<string, object?>(StringComparer.OrdinalIgnoreCase)
    {
        ["QueueTrigger"] = message.Body.ToString(),
        ["Id"] = message.MessageId,
        ["PopReceipt"] = message.PopReceipt,
        ["DequeueCount"] = message.DequeueCount,
        ["InsertionTime"] = message.InsertedOn,
        ["ExpirationTime"] = message.ExpiresOn,
        ["NextVisibleTime"] = message.NextVisibleOn,
    });

    private static readonly HashSet<string> Properties = new(StringComparer.OrdinalIgnoreCase)
    {
        "QueueTrigger", "Id", "PopReceipt", "DequeueCount", "InsertionTime", "ExpirationTime", "NextVisibleTime",
    };

    private static BinaryData Body(TriggerData data) => ((QueueMessage)data.Source).Body;

    private static object? FromJson(TriggerData data, Type type)
    {
        try
        {
            return JsonSerializer.Deserialize(Body(data), type, JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            throw new BindingException($"The message is no JSON that fits {type.Name}.");
        }
    }
}
