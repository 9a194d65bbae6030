using System.ComponentModel.DataAnnotations;

namespace AgentPlatform.Identity.Login;

/// <summary>How people sign in; section <c>Identity</c>.</summary>
public sealed class LoginOptions
{
    /// <summary>The cost of a password's bcrypt hash: each step doubles the work. Hashes of a lower cost are replaced at the next sign-in. Default 12.</summary>
    [Range(10, 16)]
    public int BcryptCost { get; set; } = 12;

    /// <summary>Characters a new password has at least; at most it has the 72 bytes that bcrypt reads. Default 12.</summary>
    [Range(8, 64)]
    public int PasswordLength { get; set; } = 12;

    /// <summary>Minutes an access token serves before it has to be refreshed. Default 15.</summary>
    [Range(1, 24 * 60)]
    public int AccessMinutes { get; set; } = 15;

    /// <summary>Hours after which a person has to sign in again, however often the session was refreshed. Default 168.</summary>
    [Range(1, 24 * 365)]
    public int SessionHours { get; set; } = 168;

    /// <summary>Failed sign-ins to one address, since its last success, that block it. Default 5.</summary>
    [Range(1, 1000)]
    public int FailuresPerEmail { get; set; } = 5;

    /// <summary>Failed sign-ins from one IP address that block it. Default 50.</summary>
    [Range(1, 100_000)]
    public int FailuresPerIp { get; set; } = 50;

    /// <summary>Minutes a failed sign-in counts: the sliding window of both limits. Default 15.</summary>
    [Range(1, 24 * 60)]
    public int LockoutMinutes { get; set; } = 15;

    /// <summary>Minutes in which a link to reset a password can be used. Default 30.</summary>
    [Range(1, 24 * 60)]
    public int ResetMinutes { get; set; } = 30;

    /// <summary>Hours in which the link of an invitation can be used. Default 72.</summary>
    [Range(1, 24 * 30)]
    public int InvitationHours { get; set; } = 72;
}
