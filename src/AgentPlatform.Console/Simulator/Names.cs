using AgentPlatform.Contacts;
using AgentPlatform.Conversations;

namespace AgentPlatform.Console.Simulator;

/// <summary>What people are called on pages.</summary>
internal static class Names
{
    internal static string Of(ConversationView view) => Of(view.Contact, view.Conversation);

    /// <summary>The name, as far as it is known; else the number or address; a visitor of the web has only an id that says nothing.</summary>
    internal static string Of(Contact? contact, Conversation conversation)
    {
        var name = $"{contact?.FirstName} {contact?.LastName}".Trim();
        return name.Length > 0 ? name
            : contact?.DisplayName
            ?? (conversation.Channel == ChannelAddress.Web ? "a visitor" : conversation.ParticipantIdentifier);
    }
}
